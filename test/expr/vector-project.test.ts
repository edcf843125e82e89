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
