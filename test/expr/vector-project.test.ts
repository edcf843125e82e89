import { expect, test } from 'vitest';
import { prng } from '../../core/base/prng.ts';
import { projector } from '../../core/compile/projector.ts';
import { vectorizes } from '../../core/compile/simd-project.ts';
import { bind } from '../../core/expr/bind.ts';
import { interpret } from '../../core/expr/interpret.ts';
import type { Expr, UnboundExpr } from '../../core/expr/tree.ts';
import { differs, layout, randomRows } from './random.ts';
import { leaf, testSlot } from './slot.ts';

const column = (name: string): UnboundExpr => ({ kind: 'column', path: [name] });
const call = (fn: string, ...args: UnboundExpr[]): UnboundExpr => ({ kind: 'call', fn, args });
const half: UnboundExpr = { kind: 'literal', value: 0.5, type: null };
const [d1, d2, i1] = [column('double1'), column('double2'), column('int1')];
const trees = [
  call('plus', call('times', d1, half), d2),
  call('divide', call('minus', d1, half), call('abs', d2)),
  call('neg', call('floor', d1)),
  call('ceil', call('times', i1, half)),
];

test('arithmetic over doubles goes two rows at a time and agrees with the reference', () => {
  for (const seed of [1, 2]) {
    const random = prng(seed);
    const slot = testSlot(128);
    const inputs = [1, 8, 9, 100].flatMap((n) =>
      [0, 0.3].map((nulls) => {
        const rows = randomRows(random, n, nulls);
        const selected = random.below(2) === 1;
        const chosen = rows.map((_, i) => i).filter(() => !selected || random.below(3) > 0);
        return { rows, chosen, batch: slot.batch(layout, rows, selected ? { selection: chosen } : {}) };
      }),
    );
    for (const tree of trees) {
      expect(vectorizes(bind(tree, layout))).toBe(true);
      expect(differs(tree, inputs, slot, 64), `seed ${seed}`).toBe(null);
    }
  }
});

const [b1, b2, i2] = [column('bigint1'), column('bigint2'), column('int2')];
const big = (value: string): UnboundExpr => ({ kind: 'literal', value, type: { kind: 'BIGINT' } });
const int = (value: number): UnboundExpr => ({ kind: 'literal', value, type: { kind: 'INT' } });
const integerTrees = [
  call('plus', call('times', b1, big('3')), b2),
  call('minus', b1, call('times', b2, big('-1000000007'))),
  call('times', b1, b2),
  call('times', call('plus', b1, i1), big('0')),
  call('abs', call('neg', b1)),
  call('times', big('-1'), b1),
  call('plus', call('times', i1, i2), i1),
  call('minus', call('neg', i1), call('abs', i2)),
  call('times', i1, int(46341)),
];

/** Values whose sums and products lie on both sides of where a type ends. */
const bigints = [
  0n,
  1n,
  -1n,
  3n,
  2n ** 31n - 1n,
  -(2n ** 31n),
  2n ** 31n,
  3037000499n,
  3037000500n,
  3074457345618258602n,
];
const ends = [2n ** 63n - 1n, -(2n ** 63n), -(2n ** 63n) + 1n];
const ints = [0, 1, -1, 46340, 46341, -46341, 2 ** 31 - 1, -(2 ** 31)];

test('arithmetic over integers goes several rows at a time, and fails where and only where the reference does', () => {
  const random = prng(5);
  const slot = testSlot(256);
  const at = (name: string): number => layout.findIndex((c) => c.name === name);
  const pick = <T>(of: readonly T[]): T => of[random.below(of.length)] as T;
  let failed = 0;
  for (const tree of integerTrees) {
    const expr = bind(tree, layout);
    expect(vectorizes(expr)).toBe(true);
    for (let round = 0; round < 40; round++) {
      const n = pick([1, 7, 8, 9, 24, 61]);
      const rows = randomRows(random, n, round % 3 === 0 ? 0.2 : 0);
      // Mostly rows that stay within their type; now and then one that may not.
      for (const row of rows) {
        const wild = random.below(n * 2) === 0 ? ends : [];
        for (const name of ['bigint1', 'bigint2'])
          if (row[at(name)] !== null)
            row[at(name)] = pick([...bigints.slice(0, 6), ...(round % 2 ? bigints : []), ...wild]);
        for (const name of ['int1', 'int2'])
          if (row[at(name)] !== null) row[at(name)] = pick(wild.length > 0 ? ints : ints.slice(0, 4));
      }
      const selection = round % 4 === 1 ? rows.map((_, i) => i).filter(() => random.below(3) > 0) : null;
      const chosen = selection ?? rows.map((_, i) => i);
      const wanted = chosen.map((i) => {
        try {
          return interpret(expr)(rows[i]!);
        } catch {
          return 'fails';
        }
      });
      const of = projector(null, [expr], {
        memory: slot.memory,
        kernels: slot.kernels,
        input: layout,
        output: [leaf('c', expr.type)],
        name: 'integers',
      });
      const firstBad = wanted.indexOf('fails');
      of.begin(slot.batch(layout, rows, selection ? { selection } : {}));
      if (firstBad >= 0) {
        failed++;
        expect(() => of.next()).toThrow(
          expect.objectContaining({
            where: expect.objectContaining({ position: `row ${chosen[firstBad]} of a batch of ${n}` }),
          }),
        );
        continue;
      }
      const out = of.next();
      const got = chosen.map((row) => slot.read(leaf('c', expr.type), out!.columns[0]!, row));
      expect(chosen.length === 0 ? [] : got).toEqual(wanted);
    }
  }
  expect(failed).toBeGreaterThan(20);
});

test('rows that are not asked for may overflow, and vectors are tried again behind batches that did', () => {
  const slot = testSlot(64);
  const expr = bind(call('plus', b1, b2), layout);
  const at = layout.findIndex((c) => c.name === 'bigint1');
  const of = projector(null, [expr], {
    memory: slot.memory,
    kernels: slot.kernels,
    input: layout,
    output: [leaf('c', expr.type)],
    name: 'unasked',
  });
  for (let turn = 0; turn < 12; turn++) {
    const rows = randomRows(prng(turn), 50, 0);
    for (const row of rows) {
      row[at] = 5n;
      row[at + 1] = 7n;
    }
    rows[turn % 2 === 0 ? 3 : 49]![at] = 2n ** 63n - 1n;
    const selection = rows.map((_, i) => i).filter((i) => i !== 3 && i !== 49);
    of.begin(slot.batch(layout, rows, { selection }));
    const out = of.next()!;
    expect(selection.map((row) => slot.read(leaf('c', expr.type), out.columns[0]!, row))).toEqual(
      selection.map(() => 12n),
    );
  }
});

test('beside text that ends the batch early, and behind a filter, every row has its own', () => {
  const random = prng(3);
  const slot = testSlot(32);
  const rows = randomRows(random, 90, 0.2);
  const exprs = [trees[0], call('concat', column('varchar1'), column('varchar2'), column('varchar1'))].map((e) =>
    bind(e as UnboundExpr, layout),
  ) as [Expr, Expr];
  const filter = bind(call('gt', column('int2'), { kind: 'literal', value: -20, type: null }), layout);
  const output = exprs.map((e, i) => leaf(`c${i}`, e.type));
  for (const condition of [null, filter]) {
    const of = projector(condition, exprs, {
      memory: slot.memory,
      kernels: slot.kernels,
      input: layout,
      output,
      name: 'mixed',
      textRoomBytes: 400,
    });
    const got: unknown[] = [];
    of.begin(slot.batch(layout, rows));
    let batches = 0;
    for (let out = of.next(); out !== null; out = of.next(), batches++) {
      for (let k = 0; k < out.size; k++) {
        const row = out.selection === 0 ? k : slot.memory.u32[(out.selection >>> 2) + k]!;
        got.push(output.map((o, i) => slot.read(o, out.columns[i]!, row)));
      }
    }
    const kept = rows.filter((row) => condition === null || interpret(condition)(row) === true);
    expect(got).toEqual(kept.map((row) => exprs.map((e) => interpret(e)(row))));
    expect(batches).toBeGreaterThan(1);
  }
});
