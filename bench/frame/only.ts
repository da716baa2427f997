import type { Benchmark } from './benchmark.ts';

/** The part of a benchmark that concerns these shapes and subjects; undefined means all. Throws on a name that it has not. */
export function only(
  benchmark: Benchmark,
  shapes: readonly string[] = benchmark.shapes,
  subjects: readonly string[] = benchmark.subjects.map(({ name }) => name),
): Benchmark {
  known('shape', shapes, benchmark.shapes);
  known(
    'subject',
    subjects,
    benchmark.subjects.map(({ name }) => name),
  );
  const { bounds = [], ratioBounds = [] } = benchmark;
  const concerned = ({ subject, shape }: { readonly subject: string; readonly shape: string }) =>
    subjects.includes(subject) && shapes.includes(shape);
  return {
    ...benchmark,
    shapes: benchmark.shapes.filter((shape) => shapes.includes(shape)),
    subjects: benchmark.subjects.filter(({ name }) => subjects.includes(name)),
    bounds: bounds.filter(concerned),
    ratioBounds: ratioBounds.filter(
      (bound) => concerned(bound) && concerned({ subject: bound.against, shape: bound.againstShape ?? bound.shape }),
    ),
  };
}

function known(kind: string, asked: readonly string[], all: readonly string[]): void {
  for (const name of asked) {
    if (!all.includes(name)) throw new Error(`there is no ${kind} "${name}"; there are ${all.join(', ')}`);
  }
}
