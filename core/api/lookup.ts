/** Tables that rows are looked up in. Knows no stream: `lookupJoin` reads what stands behind one. */
import { MillraceError } from '../base/errors.ts';
import { type Callee, located } from './checks.ts';
import type { handle, value } from './marks.ts';
import type { Name } from './modes.ts';
import { keyOf, type Source, sourceOf } from './place.ts';
import { knownColumns, type Step, type StepContent, type Tip } from './step.ts';

/** A small table with one row for each key. */
export interface LookupTable<out K, out R> {
  readonly [handle]: K;
  readonly [value]: R;
}

export interface LookupTableOptions<K extends string> {
  /** Columns that, together, no two rows have equal. A second row of a key is left out and counted (`skipped`). */
  readonly key: K | readonly K[];
}

interface Behind {
  readonly tip: Tip;
  readonly key: readonly string[];
}
const behind = Symbol.for('millrace.lookup');

/** A source that ends, to look rows up in: read once, whole, into the state of every slot. Errors: `option/invalid`. */
export function lookupTable<R, const K extends Name<R>>(
  source: Source<R, 'bounded'>,
  options: LookupTableOptions<K>,
): LookupTable<Pick<R, K>, R> {
  return located(lookupTable as Callee, (callSite) => {
    const { connector, schema, mode, resource } = sourceOf(source);
    if (mode !== 'bounded')
      throw new MillraceError(
        'option/invalid',
        `lookupTable takes a source that ends, and ${connector.label} does not: join it as a stream, from(…)`,
      );
    const given = options?.key as string | readonly string[] | undefined;
    const key = given === undefined ? undefined : keyOf('lookupTable', given, schema, connector.label);
    if (!key)
      throw new MillraceError('option/invalid', "lookupTable takes the columns to look up by, as in { key: 'id' }");
    const content: StepContent = { kind: 'source', connector, schema, bounded: true, key, table: true };
    const step: Step = Object.freeze({ content, inputs: [], name: null, callSite, attached: resource });
    const tip: Tip = Object.freeze({ step, port: 0, mode, columns: schema && knownColumns(schema) });
    return Object.freeze({ [behind]: Object.freeze({ tip, key }) }) as unknown as LookupTable<Pick<R, K>, R>;
  });
}

/** What stands behind a table; null: it is none. */
export function tableOf(from: unknown): Behind | null {
  return typeof from === 'object' && from !== null ? ((from as { [behind]?: Behind })[behind] ?? null) : null;
}
