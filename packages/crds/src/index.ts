export { type Condition, type ConditionKind, conditionsFor, firstBlocking, type Verdict } from './condition.ts';
export { customResourceDefinitions } from './crd.ts';
export { type InferenceServiceCondition, inferenceServiceConditions } from './inference-service/conditions.ts';
export { type ResolvedPredictor, resolvePredictor } from './inference-service/defaults.ts';
export {
  frameworkKeys,
  type Implementation,
  type InferenceServiceSpec,
  type InferenceServiceStatus,
  inferenceServiceProblems,
  inferenceServiceSpec,
  type Predictor,
} from './inference-service/schema.ts';
export { encodeModel, encodeModels, type ModelEntry, parseModels } from './models-json.ts';
export {
  type ApiGroup,
  annotations,
  apiGroups,
  besideGroup,
  kserveGroup,
  type Names,
  namesFor,
  predictPath,
  type ResourceName,
  shardsMax,
} from './names.ts';
export { bytesOf, formatQuantity, parseQuantity, type Quantity, unitsOf } from './quantity.ts';
export { builtInRuntime, builtInRuntimeName } from './serving-runtime/defaults.ts';
export {
  type RuntimeContainer,
  type ServingRuntimeSpec,
  serverContainerName,
  servingRuntimeProblems,
  servingRuntimeSpec,
} from './serving-runtime/schema.ts';
export { type TrainedModelCondition, trainedModelConditions } from './trained-model/conditions.ts';
export {
  type TrainedModelSpec,
  type TrainedModelStatus,
  trainedModelProblems,
  trainedModelSpec,
} from './trained-model/schema.ts';
