/**
 * Random logical plans with data for their sources, from a seed: for the planner's own laws, and as jobs whose answer
 * `reference` knows. Values are chosen so that sums of doubles do not depend on their order (multiples of 1/4).
 */
import type { Prng } from '../../core/base/prng.ts';
import type { UnboundExpr } from '../../core/expr/tree.ts';
import type { Value } from '../../core/expr/value.ts';
import type { Schema } from '../../core/plan/columns.ts';
import type { Plan, WindowSpec } from '../../core/plan/nodes.ts';
import { schemasOf } from '../../core/plan/schema.ts';
import type { SourceInfo } from '../../core/ports/connector.ts';
import { type DataType, type Fields, sameType } from '../../core/record/types.ts';
import { aggregate, call, column, field, literal, PlanBuilder, type Ref, types } from './plan-builder.ts';
import type { Row } from './reference.ts';

export interface RandomPlanOptions {
  /** Rows of each source at most. */
  readonly rowsMax?: number;
  readonly stepsMax?: number;
  /** Without `sort`, and nothing that corrects its results before something that cannot take it. */
  readonly unbounded?: boolean;
  /** Kinds of sinks to choose from. */
  readonly sinks?: readonly string[];
  /** Where a source may lie. */
  readonly places?: readonly ('slot' | 'caller')[];
  /** Rows in order of time, so that none is late whatever the reading order within a source. */
  readonly inOrder?: boolean;
}

export interface RandomJob {
  readonly builder: PlanBuilder;
  readonly plan: Plan;
  readonly sources: ReadonlyMap<string, SourceInfo>;
  readonly rows: ReadonlyMap<string, readonly Row[]>;
}

/** A stream under construction. */
interface Growing {
  readonly ref: Ref;
  /** Whether its rows may be corrected on unbounded input. */
  readonly updating: boolean;
  /** Its rows are those of one source, in their order. */
  readonly inOrder?: boolean;
}

const sourceFields: Fields = [
  field('id', types.bigint),
  field('k', types.string, true),
  field('g', types.int),
  field('v', types.bigint, true),
  field('x', types.double, true),
  field('b', types.boolean, true),
  field('d', types.date, true),
  field('at', types.timestamp3),
  field('fine', types.timestamp6),
];
const epochMs = 1_700_000_000_000;

export function randomJob(random: Prng, options: RandomPlanOptions = {}): RandomJob {
  const builder = new PlanBuilder();
  const rows = new Map<string, readonly Row[]>();
  const pool: Growing[] = [];
  const sourceCount = 1 + random.below(2);
  for (let i = 0; i < sourceCount; i++) {
    const place = oneOf<'slot' | 'caller'>(random, options.places ?? ['slot']);
    const source = builder.source(sourceFields, { bounded: !options.unbounded, place }, null, `source${i}`);
    rows.set(source.node, randomRows(random, random.below((options.rowsMax ?? 200) + 1), options.inOrder ?? false));
    const timed = random.below(4) === 0 ? source : builder.eventTime(source, oneOf(random, ['at', 'fine']), 100_000);
    pool.push({ ref: timed, updating: false, inOrder: true });
  }
  const steps = 1 + random.below(options.stepsMax ?? 8);
  for (let i = 0; i < steps; i++) {
    // Rather grow what is new than what is old, and now and then from the same step again.
    const from = pool[Math.max(0, pool.length - 1 - random.below(random.below(4) + 1))]!;
    const grown = step(random, builder, from, pool, options);
    if (grown) pool.push(grown);
  }
  const read = new Set(builder.nodes.flatMap((node) => node.inputs.map((input) => input.node)));
  const ends = pool
    .filter(({ ref }) => !read.has(ref.node))
    .map(({ ref }) => builder.sink(ref, oneOf(random, options.sinks ?? ['test', 'caller', 'file'])));
  return { builder, plan: builder.plan(...ends), sources: builder.sources, rows };
}

function step(
  random: Prng,
  builder: PlanBuilder,
  from: Growing,
  pool: readonly Growing[],
  options: RandomPlanOptions,
): Growing | null {
  const schema = schemaAt(builder, from.ref);
  const { ref } = from;
  // On ended input every result is final.
  const updating = from.updating && options.unbounded === true;
  const names = schema.fields.filter((f) => f.type.kind !== 'ROW').map((f) => f.name);
  /** An order by all columns leaves no choice. */
  const every = schema.fields.map((f) => f.name);
  const same = (next: Ref): Growing => ({ ref: next, updating });
  /** Rows stay in their order. */
  const through = (next: Ref): Growing => ({ ...from, ref: next, updating });
  switch (random.below(15)) {
    case 0:
    case 1:
      return through(builder.filter(ref, randomCondition(random, schema.fields)));
    case 2: {
      const name = random.below(2) === 0 && names.length > 0 ? oneOf(random, names) : `c${builder.nodes.length}`;
      return through(builder.with(ref, { [name]: randomValue(random, schema.fields, 2) }));
    }
    case 3: {
      const kept = schema.fields.filter(() => random.below(3) > 0).map((f) => f.name);
      if (kept.length === 0) return null;
      return through(
        builder.select(
          ref,
          Object.fromEntries(kept.map((name) => [random.below(8) === 0 ? `${name}_` : name, column(name)])),
        ),
      );
    }
    case 4: {
      if (updating || !schema.time || schema.fields.some((f) => f.name === 'window')) return null;
      const keys: (string | null)[] = keysOf(random, schema.fields, 2);
      keys.splice(random.below(keys.length + 1), 0, null);
      const window: WindowSpec =
        random.below(4) === 0
          ? { kind: 'session', gapMs: 1 + random.below(5000) }
          : random.below(2) === 0
            ? { kind: 'tumble', sizeMs: 1000 * (1 + random.below(60)), offsetMs: random.below(3) * 100 }
            : { kind: 'hop', sizeMs: 6000, slideMs: oneOf(random, [1000, 2000, 3000, 4000, 6000]), offsetMs: 0 };
      return {
        ref: builder.group(ref, keys, randomAggregates(random, builder, schema.fields, false), window),
        updating: false,
      };
    }
    case 5: {
      const keys = keysOf(random, schema.fields, 3);
      const columns = randomAggregates(random, builder, schema.fields, updating);
      if (keys.length === 0) columns[`all${builder.nodes.length}`] = aggregate('count');
      const windowed = schema.window != null && keys.includes(schema.window.column);
      return { ref: builder.group(ref, keys, columns), updating: !windowed };
    }
    case 6:
      return { ref: builder.add('distinct', [ref], {}), updating };
    case 7: {
      const others = pool.filter((other) => sameFields(schemaAt(builder, other.ref).fields, schema.fields));
      const other = oneOf(random, others);
      return { ref: builder.add('union', [ref, other.ref], {}), updating: updating || other.updating };
    }
    case 8: {
      if (names.length === 0 || (updating && schema.window)) return null;
      const by = [`${random.below(2) === 0 ? '-' : ''}${oneOf(random, names)}`, ...every];
      const rank = random.below(2) === 0 ? `rank${builder.nodes.length}` : null;
      return {
        ref: builder.topN(ref, keysOf(random, schema.fields, 1), 1 + random.below(5), by, rank),
        updating: true,
      };
    }
    case 9: {
      if (names.length === 0) return null;
      if (options.unbounded) return null;
      const sorted = builder.sort(ref, `${random.below(2) === 0 ? '-' : ''}${oneOf(random, names)}`, ...every);
      return same(random.below(2) === 0 ? sorted : builder.add('limit', [sorted], { rows: random.below(20) }));
    }
    case 12: {
      // What an unbounded run tells on the way is its own affair.
      if (options.unbounded || every.includes('row_kind')) return null;
      return same(builder.add('toChangelog', [ref], {}));
    }
    case 13: {
      if (!from.inOrder || updating || every.includes('row_kind')) return null;
      const key = keysOf(random, schema.fields, 2);
      if (key.length === 0) return null;
      const kinds = { when: randomCondition(random, schema.fields), then: literal(oneOf(random, ['-D', '-U', '+U'])) };
      const kind: UnboundExpr = { kind: 'case', branches: [kinds], otherwise: literal('+I') };
      const said = builder.with(ref, { row_kind: kind });
      return { ref: builder.add('fromChangelog', [said], { key }), updating: true };
    }
    case 10:
    case 11:
      return joinStep(random, builder, from, oneOf(random, pool), options);
    default:
      if (updating) return null;
      return same(builder.add('limit', [ref], { rows: random.below(50) }));
  }
}

const joinTypes = ['inner', 'left', 'right', 'full', 'semi', 'anti'] as const;

/** One join to a plan, by columns of many values: joins of joins are very many rows. */
function joinStep(
  random: Prng,
  builder: PlanBuilder,
  left: Growing,
  right: Growing,
  options: RandomPlanOptions,
): Growing | null {
  if (builder.nodes.some((node) => node.kind === 'join')) return null;
  const sides = [schemaAt(builder, left.ref).fields, schemaAt(builder, right.ref).fields] as const;
  const ofSide = (side: 'left' | 'right', name: string): UnboundExpr => ({ kind: 'column', path: [side, name] });
  const pairs = sides[0].flatMap((a) =>
    sides[1].filter((b) => sameType(a.type, b.type) && a.type.kind !== 'ROW').map((b) => [a, b] as const),
  );
  const many = pairs.filter(([a, b]) => [a, b].every(({ name }) => ['id', 'v', 'at', 'fine', 'x'].includes(name)));
  if (many.length === 0) return null;
  const conditions = [oneOf(random, many), ...(random.below(2) === 0 ? [oneOf(random, pairs)] : [])].map(([a, b]) =>
    call(
      'eq',
      ...(random.below(2) === 0
        ? [ofSide('left', a.name), ofSide('right', b.name)]
        : [ofSide('right', b.name), ofSide('left', a.name)]),
    ),
  );
  if (random.below(2) === 0) {
    const [a, b] = oneOf(random, pairs);
    conditions.push(call(oneOf(random, ['lt', 'gte', 'ne']), ofSide('left', a.name), ofSide('right', b.name)));
  }
  if (random.below(3) === 0) {
    const [a, b] = oneOf(random, pairs);
    const side = random.below(2) === 0 ? 'left' : 'right';
    conditions.push(call('isNotNull', ofSide(side, side === 'left' ? a.name : b.name)));
  }
  const condition = conditions.reduce((all, next) => call('and', all, next));
  const type = oneOf(random, joinTypes);
  const joined = builder.add('join', [left.ref, right.ref], { type, condition });
  const updating = options.unbounded === true && (left.updating || right.updating || !['inner', 'semi'].includes(type));
  if (type === 'semi' || type === 'anti') return { ref: joined, updating };
  const columns = (['left', 'right'] as const).flatMap((side, i) =>
    sides[i]!.flatMap(({ name }) =>
      random.below(3) > 0 ? [[i === 0 ? name : `${name}_r${builder.nodes.length}`, ofSide(side, name)] as const] : [],
    ),
  );
  if (columns.length === 0) columns.push(['only', ofSide('left', sides[0][0]!.name)]);
  return { ref: builder.select(joined, Object.fromEntries(columns)), updating };
}

export function schemaAt(builder: PlanBuilder, ref: Ref): Schema {
  const plan: Plan = { version: 1, name: 'part', nodes: builder.nodes, outputs: [] };
  return schemasOf(plan, builder.sources).get(ref.node)![ref.port]!;
}

function sameFields(a: Fields, b: Fields): boolean {
  return a.length === b.length && a.every((f) => b.some((g) => g.name === f.name && sameType(f.type, g.type)));
}

function keysOf(random: Prng, fields: Fields, most: number): string[] {
  const candidates = fields.filter((f) => f.name !== 'id' && f.type.kind !== 'DOUBLE').map((f) => f.name);
  const keys: string[] = [];
  for (let n = random.below(most + 1); n > 0 && candidates.length > 0; n--)
    keys.push(...candidates.splice(random.below(candidates.length), 1));
  return keys;
}

function randomAggregates(
  random: Prng,
  builder: PlanBuilder,
  fields: Fields,
  updating: boolean,
): Record<string, UnboundExpr> {
  const columns: Record<string, UnboundExpr> = {};
  const count = random.below(4);
  for (let i = 0; i < count; i++) {
    const filter = random.below(4) === 0 ? randomCondition(random, fields) : null;
    const numeric = fields.filter((f) => ['INT', 'BIGINT', 'DOUBLE'].includes(f.type.kind) && f.name !== 'id');
    const flat = fields.filter((f) => f.type.kind !== 'ROW' && f.type.kind !== 'BOOLEAN');
    const fn = oneOf(
      random,
      updating ? (['count', 'sum', 'avg'] as const) : (['count', 'sum', 'min', 'max', 'avg'] as const),
    );
    const among = fn === 'sum' || fn === 'avg' ? numeric : flat;
    const simple =
      among.length === 0 || (fn === 'count' && random.below(2) === 0)
        ? aggregate('count', null, filter)
        : aggregate(fn, column(oneOf(random, among).name), filter);
    columns[`a${builder.nodes.length}_${i}`] =
      random.below(4) === 0
        ? call(
            'plus',
            { kind: 'cast', arg: aggregate('count', null, filter), type: types.double, safe: false },
            literal(0.5),
          )
        : simple;
  }
  return columns;
}

function randomCondition(random: Prng, fields: Fields): UnboundExpr {
  const roll = random.below(6);
  if (roll === 0) return call('and', randomCondition(random, fields), randomCondition(random, fields));
  if (roll === 1) return call('or', randomCondition(random, fields), randomCondition(random, fields));
  const flat = fields.filter((f) => f.type.kind !== 'ROW');
  if (flat.length === 0) return literal(true);
  const chosen = oneOf(random, flat);
  if (roll === 2) return call(random.below(2) === 0 ? 'isNull' : 'isNotNull', column(chosen.name));
  if (chosen.type.kind === 'BOOLEAN') return column(chosen.name);
  const compared = randomLiteral(random, chosen.type);
  const op = oneOf(random, ['eq', 'lt', 'lte', 'gt', 'gte', 'ne']);
  return random.below(4) === 0 ? call(op, compared, column(chosen.name)) : call(op, column(chosen.name), compared);
}

function randomValue(random: Prng, fields: Fields, depth: number): UnboundExpr {
  const flat = fields.filter((f) => f.type.kind !== 'ROW');
  const doubles = flat.filter((f) => f.type.kind === 'DOUBLE');
  const strings = flat.filter((f) => f.type.kind === 'VARCHAR');
  switch (depth <= 0 ? 0 : random.below(6)) {
    case 1:
      return randomCondition(random, fields);
    case 2:
      if (doubles.length > 0)
        return call(
          oneOf(random, ['plus', 'minus']),
          column(oneOf(random, doubles).name),
          literal(random.below(8) / 4),
        );
      break;
    case 3:
      if (strings.length > 0) return call('upper', column(oneOf(random, strings).name));
      break;
    case 4:
      if (strings.length > 0) return call('coalesce', column(oneOf(random, strings).name), literal('none'));
      break;
    case 5:
      return {
        kind: 'case',
        branches: [{ when: randomCondition(random, fields), then: literal(random.below(5)) }],
        otherwise: literal(9),
      };
  }
  return flat.length === 0 ? literal(random.below(5)) : column(oneOf(random, flat).name);
}

function randomLiteral(random: Prng, type: DataType): UnboundExpr {
  const typed = (value: boolean | number | string): UnboundExpr => ({ kind: 'literal', value, type });
  switch (type.kind) {
    case 'VARCHAR':
      return typed(oneOf(random, words));
    case 'DOUBLE':
      return typed(random.below(80) / 4 - 10);
    case 'DATE':
      return typed(19_600 + random.below(10));
    case 'TIMESTAMP':
      return typed(String(BigInt(epochMs + random.below(60_000)) * (type.precision > 3 ? 1000n : 1n)));
    case 'BIGINT':
      return typed(String(random.below(40) - 20));
    default:
      return typed(random.below(10));
  }
}

const words = ['', 'a', 'ab', 'ünïcode', 'a longer text than twelve bytes', 'A', 'zz', 'another text longer than that'];

export function randomRows(random: Prng, count: number, inOrder: boolean): Row[] {
  const times = Array.from({ length: count }, () => epochMs + random.below(90_000));
  if (inOrder) times.sort((a, b) => a - b);
  const maybe = <T extends Value>(value: T): T | null => (random.below(8) === 0 ? null : value);
  return times.map(
    (at, i): Row => [
      BigInt(i),
      maybe(oneOf(random, words)),
      random.below(5),
      maybe(BigInt(random.below(40) - 20)),
      maybe(random.below(80) / 4 - 10),
      maybe(random.below(2) === 0),
      maybe(19_600 + random.below(10)),
      BigInt(at),
      BigInt(at) * 1000n + BigInt(random.below(1000)),
    ],
  );
}

export function oneOf<T>(random: Prng, values: readonly T[]): T {
  return values[random.below(values.length)]!;
}
