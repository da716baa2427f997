/** What the server counts; all since its start. */
export type Counters = { predictions: number; failures: number; seconds: number };

export function createCounters(): Counters {
  return { predictions: 0, failures: 0, seconds: 0 };
}

/** Prometheus' text format. */
export function metricsText({ predictions, failures, seconds }: Counters, models: number): string {
  return `# HELP roundhouse_model_server_models Models loaded.
# TYPE roundhouse_model_server_models gauge
roundhouse_model_server_models ${models}
# HELP roundhouse_model_server_predictions_total Predictions by outcome.
# TYPE roundhouse_model_server_predictions_total counter
roundhouse_model_server_predictions_total{outcome="ok"} ${predictions}
roundhouse_model_server_predictions_total{outcome="error"} ${failures}
# HELP roundhouse_model_server_prediction_seconds_total Time spent on predictions, decoding to encoding.
# TYPE roundhouse_model_server_prediction_seconds_total counter
roundhouse_model_server_prediction_seconds_total ${seconds}
`;
}
