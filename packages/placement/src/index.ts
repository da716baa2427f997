export { type Placeable, type Placement, planPlacement } from './replicate.ts';
