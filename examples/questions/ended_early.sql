-- Sessions of less than 10 minutes that ended below 80 %, while at least half of the peak current
-- still flowed.
WITH currents AS (
    SELECT
        session_key,
        value AS last_amperes,
        max(value) OVER (PARTITION BY session_key) AS peak_amperes,
        row_number() OVER (
            PARTITION BY session_key ORDER BY event_timestamp DESC, position DESC
        ) AS number
    FROM meter_values
    WHERE key = 'present_current' AND value IS NOT NULL AND event_timestamp IS NOT NULL
),
last_currents AS (
    SELECT session_key, last_amperes
    FROM currents
    WHERE number = 1 AND last_amperes >= peak_amperes / 2
)
SELECT charger_id, connector_id, session_id, vehicle_id, energy_soc_end, last_amperes
FROM sessions
JOIN last_currents USING (session_key)
WHERE duration_minutes < 10 AND energy_soc_end < 80
ORDER BY charger_id, connector_id, session_id;
