import { test } from 'vitest';
import { flights } from './flights.ts';

test('x', () => {
  const { builder, ends } = flights();
  console.log(builder.physical(ends).explain.text);
  const f2 = flights(false);
  console.log(f2.builder.physical(f2.ends).explain.text);
});
