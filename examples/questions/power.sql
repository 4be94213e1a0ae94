-- Power of one session: each current with the last voltage before it.
SELECT
    amperes.event_timestamp AS time,
    amperes.value * volts.value / 1000 AS power_kw
FROM sessions
JOIN meter_values AS amperes USING (session_key)
CROSS JOIN LATERAL (
    SELECT samples.value
    FROM meter_values AS samples
    WHERE samples.session_key = amperes.session_key
        AND samples.key = 'present_voltage'
        AND samples.value IS NOT NULL
        AND samples.event_timestamp <= amperes.event_timestamp
    ORDER BY samples.event_timestamp DESC, samples.position DESC
    LIMIT 1
) AS volts
WHERE charger_id = 'CP-001' AND connector_id = '1' AND session_id = 100000004
    AND amperes.key = 'present_current'
ORDER BY amperes.event_timestamp, amperes.position;
