import type { PhysicalPlan } from './physical.ts';
export interface Explained {
  readonly text: string;
  readonly json: unknown;
}
export function explain(of: { physical: PhysicalPlan } & Record<string, unknown>): Explained {
  return { text: JSON.stringify(of.physical, null, 1), json: of.physical };
}
