-- Energy of each vehicle and month, by the clock of the depot.
SELECT
    vehicle_id,
    CAST(date_trunc('month', session_time_start AT TIME ZONE 'Europe/Berlin') AS date) AS month,
    count(*) AS sessions,
    sum(energy_kwh) AS energy_kwh
FROM sessions
WHERE vehicle_id IS NOT NULL AND session_time_start IS NOT NULL AND energy_kwh IS NOT NULL
GROUP BY 1, 2
ORDER BY 1, 2;
