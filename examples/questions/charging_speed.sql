-- State of charge that each vehicle gains in an hour, in percent.
SELECT
    vehicle_id,
    sum(energy_soc_end - energy_soc_start) / sum(duration_minutes / 60) AS percent_an_hour
FROM sessions
WHERE vehicle_id IS NOT NULL
    AND energy_soc_end IS NOT NULL
    AND energy_soc_start IS NOT NULL
    AND duration_minutes > 0
GROUP BY 1
ORDER BY 1;
