export { type Capacity, type Placeable, type Placement, planPlacement } from './replicate.ts';
