/** Where the live view is drawn. */
export type Screen = {
  readonly isTerminal: boolean;
  readonly columns: () => number;
  readonly write: (text: string) => void;
};

/** A block at the bottom of the terminal that is redrawn in place; nothing is written while it does not change. */
export function redrawnBlock({ write }: Screen) {
  let shown: readonly string[] = [];
  return (lines: readonly string[]) => {
    if (lines.length === shown.length && lines.every((line, index) => line === shown[index])) return;
    const back = shown.length > 0 ? `\u001b[${shown.length}F\u001b[J` : '';
    write(`${back}${lines.join('\n')}\n`);
    shown = lines;
  };
}
