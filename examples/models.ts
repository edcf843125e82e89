/**
 * What fraud.ts, monitoring.ts and rules.ts must answer, each in a plain loop over the same rows: no streams, no state, no
 * time but that of the rows. Lines as the jsonl files have them, in no order. examples/kill.mjs and test/examples compare.
 */
import { collect } from 'millrace';
import { payments } from './fraud.ts';
import { messages } from './monitoring.ts';
import { events, rules } from './rules.ts';

export type Answer = Readonly<Record<string, readonly string[]>>;

export const models: Readonly<Record<string, (rows: number) => Promise<Answer>>> = {
  fraud: fraudModel,
  monitoring: monitoringModel,
  rules: rulesModel,
};

async function fraudModel(rows: number): Promise<Answer> {
  const scored: string[] = [];
  const alerts: string[] = [];
  const all = await collect(payments(rows), { parallelism: 1 });
  for (const [card, mine] of byKey(all, (row) => row.card)) {
    mine.sort((a, b) => a.at.getTime() - b.at.getTime() || a.id - b.id);
    let smallMs: number | null = null;
    for (const [i, { id, amount, at }] of mine.entries()) {
      const atMs = at.getTime();
      const recent = mine.slice(0, i + 1).filter((before) => before.at.getTime() + 10 * 60_000 > atMs);
      if (amount > 500 && smallMs !== null && atMs < smallMs + 60_000) {
        const spent = recent.reduce((sum, one) => sum + one.amount, 0);
        alerts.push(JSON.stringify({ card, id, reason: 'large after small', payments: recent.length, spent }));
      }
      smallMs = amount < 1 ? atMs : null;
      scored.push(JSON.stringify({ id, card, score: Math.min(1, amount / 500) }));
    }
  }
  return { scored, alerts };
}

async function monitoringModel(rows: number): Promise<Answer> {
  const reports: string[] = [];
  const lives: string[] = [];
  const all = await collect(messages(rows), { parallelism: 1 });
  for (const [process, mine] of byKey(all, (row) => row.process)) {
    mine.sort((a, b) => a.at.getTime() - b.at.getTime());
    for (const [i, { what, at }] of mine.entries()) {
      const untilMs = at.getTime() + 25_000;
      const next = mine[i + 1];
      if (what !== 'end' && !(next && next.at.getTime() <= untilMs)) {
        reports.push(JSON.stringify({ process, what: 'silent for 25 seconds', at: new Date(untilMs) }));
      }
    }
    const start = mine.find(({ what }) => what === 'start')?.at;
    const end = mine.find(({ what }) => what === 'end')?.at;
    if (start && !(end && end.getTime() <= start.getTime() + 90_000)) {
      reports.push(
        JSON.stringify({ process, what: 'not ended in 90 seconds', at: new Date(start.getTime() + 90_000) }),
      );
    }
    if (start && end) lives.push(JSON.stringify({ process, seconds: (end.getTime() - start.getTime()) / 1000 }));
  }
  return { reports, lives };
}

async function rulesModel(rows: number): Promise<Answer> {
  const hits: string[] = [];
  const versions = await collect(rules(), { parallelism: 1 });
  versions.sort((a, b) => a.at.getTime() - b.at.getTime());
  const names = [...new Set(versions.map(({ id }) => id))].sort();
  const all = await collect(events(rows), { parallelism: 1 });
  for (const [user, mine] of byKey(all, (row) => row.user)) {
    mine.sort((a, b) => a.at.getTime() - b.at.getTime() || a.id - b.id);
    const totals = new Map<string, { total: number; atMs: number }>();
    for (const { id, kind, amount, at } of mine) {
      const held = totals.get(kind);
      const total = (held && held.atMs + 10 * 60_000 > at.getTime() ? held.total : 0) + amount;
      totals.set(kind, { total, atMs: at.getTime() });
      for (const name of names) {
        const rule = versions.findLast((one) => one.id === name && one.at <= at);
        if (rule?.enabled && rule.kind === kind && total > rule.above) {
          hits.push(JSON.stringify({ id, user, rule: name, total }));
          totals.set(kind, { total: 0, atMs: at.getTime() });
        }
      }
    }
  }
  return { hits };
}

function byKey<R, K>(rows: readonly R[], keyOf: (row: R) => K): Map<K, R[]> {
  const groups = new Map<K, R[]>();
  for (const row of rows) {
    const group = groups.get(keyOf(row));
    if (group) group.push(row);
    else groups.set(keyOf(row), [row]);
  }
  return groups;
}
