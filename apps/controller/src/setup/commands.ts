/** What the chart's Jobs run: the controller's command line with one of these words first. */
export const setupCommands = ['apply-crds', 'release-models'] as const;
export type SetupCommand = (typeof setupCommands)[number];
