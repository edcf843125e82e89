import { describe, expect, test } from 'vitest';
import { aggregate, call, column, field, literal, PlanBuilder, types } from '../support/plan-builder.ts';
import { flights } from './flights.ts';

describe('explain', () => {
  const { builder, ends } = flights();
  const { text, json } = builder.physical(ends).explain;

  test('shows the plan as written, with names, places and columns', () => {
    expect(text).toContain('n3  ← n2  groupBy(origin, tumble 1 day)  job.ts:4');
    expect(text).toContain('n0  date TIMESTAMP(6) NOT NULL, delay BIGINT, distance BIGINT NOT NULL');
  });

  test('says what is read, skipped and known of time', () => {
    expect(text).toContain('reads date, delay, origin');
    expect(text).toContain('skips what cannot have delay > -60');
    expect(text).toContain('watermark from date, 1 hour behind');
  });

  test('shows traits and what bounds the state', () => {
    expect(text).toContain(
      'bounded · inserts only · key (origin, window.start, window.end) · event time · at most 3,000,000 rows',
    );
    expect(text).toContain(
      "keeps one entry per (origin) and open slice, dropped when the watermark passes the window's end",
    );
  });

  test('shows chains and how data moves between them', () => {
    expect(text).toMatch(/edge 0 {2}chain 0 → 1 {2}hash\(origin\) {2}\+I/);
    expect(text).toMatch(/chain 3: on the caller's thread/);
    expect(json.edges.map((edge) => edge.exchange)).toEqual(['hash(origin)', 'gather', 'gather']);
  });

  test('has no colours and no trailing space', () => {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that is the point
    expect(text).not.toMatch(/\u001b|[ \t]+\n/);
  });

  test('is JSON without loss', () => {
    expect(JSON.parse(JSON.stringify(json))).toEqual(json);
  });

  test('says what is not compiled and why, and repeats the notes of sources', () => {
    const b = new PlanBuilder();
    const notes = ['column s: decoded by the library: DELTA_LENGTH'];
    const source = b.source([field('at', types.timestamp3), field('n', types.bigint)], { notes });
    const shown = b.select(source, {
      day: call('dateFormat', column('at'), literal('d MMM yyyy')),
      more: call('plus', column('n'), literal(1)),
    });
    const mapped = b.add('map', [shown], { style: 'map', functionId: 'f0', schema: [field('x', types.int)] });
    const { json: explained, text: lines } = b.physical([b.sink(mapped)]).explain;
    expect(explained.expressions.map((e) => [e.compiled, e.why])).toEqual([
      [false, 'DATE_FORMAT with names of months, of days or of half days runs in JavaScript'],
      [true, null],
      [false, 'a JavaScript function'],
    ]);
    expect(lines).toContain('from test input: column s: decoded by the library: DELTA_LENGTH');
  });

  test('tells corrections from new rows on the edges', () => {
    const stream = flights(false);
    const explained = stream.builder.physical(stream.ends).explain;
    expect(explained.json.edges.map((edge) => edge.kinds)).toEqual(['+I', '+I', '+I −U +U −D']);
    expect(explained.text).toContain('test: unbounded (test flights-3m.parquet never ends), 2 slots');
  });
});

test('what several read, and what stands in several places, is told as shared', () => {
  const builder = new PlanBuilder();
  const source = builder.source([field('k', types.string), field('v', types.bigint)]);
  const upper = call('upper', column('k'));
  const filtered = builder.filter(source, call('ne', upper, literal('A')));
  const shown = builder.select(filtered, { k: upper, v: column('v') });
  const counted = builder.group(source, ['k'], { n: aggregate('count') });
  const { explain } = builder.physical([builder.sink(shown), builder.sink(counted)]);
  expect(explain.json.shared).toHaveLength(2);
  expect(explain.json.shared[0]).toMatch(/^r0, from test input: read by r\d, r\d$/);
  expect(explain.json.shared[1]).toMatch(/UPPER\(k\), once a row at most$/);
  expect(explain.text).toContain('\nShared\n');
});
