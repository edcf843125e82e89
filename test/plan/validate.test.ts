import { describe, expect, test } from 'vitest';
import { MillraceError } from '../../core/base/errors.ts';
import { prng } from '../../core/base/prng.ts';
import { depthMax, validatePlan } from '../../core/plan/validate.ts';
import { randomJob } from '../support/random-plan.ts';
import { flights } from './flights.ts';

type Loose = { [key: string]: Loose } & Loose[];
const plan = (): Loose => {
  const { builder, ends } = flights();
  return JSON.parse(JSON.stringify(builder.plan(...ends)));
};

function refused(from: unknown): string {
  try {
    validatePlan(from);
  } catch (error) {
    expect(error).toBeInstanceOf(MillraceError);
    expect((error as MillraceError).code).toBe('plan/invalid');
    return (error as Error).message;
  }
  throw new Error('it was taken for a plan');
}

describe('a plan that comes as JSON', () => {
  test('is taken when it is one', () => {
    expect(validatePlan(plan())).toEqual(plan());
  });

  test.each<[string, (string | number)[], unknown, string]>([
    ['is of another version', ['version'], 2, 'plan.version must be the number 1'],
    [
      'has a node of an unknown kind',
      ['nodes', 2, 'kind'],
      'sideways',
      'plan.nodes[2].kind must be one of source, eventTime',
    ],
    ['has a kind that every object has', ['nodes', 2, 'kind'], 'constructor', 'plan.nodes[2].kind must be one of'],
    [
      'reads a node that is not there',
      ['nodes', 2, 'inputs', 0, 'node'],
      'n99',
      'plan.nodes[2].inputs[0].node must be the id of an earlier node',
    ],
    [
      'runs in a circle',
      ['nodes', 2, 'inputs', 0, 'node'],
      'n2',
      'plan.nodes[2].inputs[0].node must be the id of an earlier node',
    ],
    ['reads a sink', ['nodes', 7, 'inputs', 0, 'node'], 'n6', 'that is no sink'],
    [
      'reads an output that is not there',
      ['nodes', 2, 'inputs', 0, 'port'],
      1,
      'plan.nodes[2].inputs[0].port must be an output of that node',
    ],
    ['has too few inputs', ['nodes', 2, 'inputs'], [], 'plan.nodes[2].inputs must be as many as a filter has'],
    [
      'has an expression of another shape',
      ['nodes', 2, 'condition', 'args', 0, 'path'],
      'delay',
      'plan.nodes[2].condition.args[0].path must be a list',
    ],
    [
      'has a type of another shape',
      ['nodes', 0, 'schema', 0, 'type'],
      { kind: 'TIMESTAMP' },
      'plan.nodes[0].schema[0].type.precision must be a whole number',
    ],
    [
      'has a window and no place for it among the keys',
      ['nodes', 3, 'keys'],
      ['origin'],
      'plan.nodes[3].keys must be with a null',
    ],
    ['has an output that is no sink', ['outputs', 0, 'node'], 'n3', 'plan.outputs[0].node must be the id of a sink'],
    [
      'has two outputs of one name',
      ['outputs', 1, 'name'],
      'result',
      'plan.outputs[1].name must be a name that no other output has',
    ],
    ['has two nodes of one id', ['nodes', 1, 'id'], 'n0', 'plan.nodes[1].id must be an id that no other node has'],
  ])('is refused when it %s', (_, path, value, message) => {
    const changed = plan();
    const where = path.slice(0, -1).reduce<Loose>((at, key) => at[key as number]!, changed);
    (where[path.at(-1) as number] as unknown) = value;
    expect(refused(changed)).toContain(message);
  });

  test('is refused when it is no plan at all', () => {
    for (const other of [null, undefined, 3, 'plan', [], {}]) refused(other);
  });

  test('is refused when an expression is nested too deeply to walk', () => {
    const deep = plan();
    let condition: unknown = { kind: 'literal', value: true, type: null };
    for (let i = 0; i < 2 * depthMax; i++) condition = { kind: 'call', fn: 'not', args: [condition] };
    (deep.nodes![2]!.condition as unknown) = condition;
    expect(refused(deep)).toContain(`nested at most ${depthMax} deep`);
  });

  test('with any one part replaced is refused by name or still a plan, and never breaks the checker', () => {
    for (let seed = 1; seed <= 300; seed++) {
      const random = prng(seed);
      const job = JSON.parse(JSON.stringify(randomJob(random).plan)) as Loose;
      const places: { in: Loose; key: string }[] = [];
      const visit = (at: Loose): void => {
        for (const key of Object.keys(at)) {
          places.push({ in: at, key });
          if (typeof at[key] === 'object' && at[key] !== null) visit(at[key]!);
        }
      };
      visit(job);
      const { in: where, key } = places[random.below(places.length)]!;
      (where[key] as unknown) = [null, 3, -1, 'x', [], {}, true, undefined][random.below(8)];
      try {
        validatePlan(job);
      } catch (error) {
        expect(error, `seed ${seed}`).toBeInstanceOf(MillraceError);
      }
    }
  });
});
