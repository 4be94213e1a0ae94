-- Errors of each device and week. A week begins on Monday, in UTC.
SELECT
    charger_id,
    device_id,
    CAST(date_trunc('week', errors.event_timestamp AT TIME ZONE 'UTC') AS date) AS week,
    count(DISTINCT error_code) AS error_codes,
    CAST(coalesce(sum(error_counter), 0) AS bigint) AS errors
FROM sessions
JOIN device_status AS states USING (session_key)
JOIN device_errors AS errors
    ON errors.session_key = states.session_key
    AND errors.device_status_position = states.position
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3;
