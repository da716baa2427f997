import { parseLightgbm } from './lightgbm/load.ts';
import type { Tabular } from './tabular.ts';
import { parseXgboost } from './xgboost/load.ts';

export function parseTabular(bytes: Buffer, format: 'xgboost' | 'lightgbm'): Tabular {
  return format === 'xgboost' ? parseXgboost(bytes) : parseLightgbm(bytes.toString('utf8'));
}
