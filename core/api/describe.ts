/** Expressions as a person writes them, for messages. Knows the methods' names and nothing of their values. */
import type { UnboundExpr } from '../expr/tree.ts';
import { userCallHead } from '../expr/user-call.ts';

/** An expression as a person would have written it, for messages: `delay.gt(15)`. */
export function describe(tree: UnboundExpr): string {
  switch (tree.kind) {
    case 'column':
      return tree.path.join('.');
    case 'literal':
      return typeof tree.value === 'string' ? `'${tree.value}'` : String(tree.value);
    case 'call': {
      if (tree.fn === 'user') {
        const [name] = tree.args as readonly { readonly value?: unknown }[];
        return `${name?.value}(${tree.args.slice(userCallHead).map(describe).join(', ')})`;
      }
      const [self, ...rest] = tree.args.map(describe);
      const method = methodNames[tree.fn];
      return method === undefined
        ? `${tree.fn}(${[self, ...rest].join(', ')})`
        : `${self}.${method}(${rest.join(', ')})`;
    }
    case 'cast':
      return `${describe(tree.arg)}.${tree.safe ? 'tryCast' : 'cast'}(${tree.type.kind})`;
    case 'case':
      return `${tree.branches.map((b, i) => `${i === 0 ? '' : '.'}when(${describe(b.when)}, ${describe(b.then)})`).join('')}.otherwise(${describe(tree.otherwise)})`;
    case 'aggregate':
      return `${tree.fn}(${tree.arg ? describe(tree.arg) : ''})${tree.filter ? `.filter(${describe(tree.filter)})` : ''}`;
    case 'over':
      return `${describe(tree.of)}.over({ partitionBy: [${tree.partitionBy.map(describe).join(', ')}], orderBy: [${tree.orderBy.map(describe).join(', ')}] })`;
  }
}

/** Registry name → method name, where a person writes a method. */
export const methodNames: Readonly<Record<string, string>> = {
  eq: 'eq', ne: 'ne', lt: 'lt', lte: 'lte', gt: 'gt', gte: 'gte', isNull: 'isNull', isNotNull: 'isNotNull', in: 'in',
  and: 'and', or: 'or', not: 'not', like: 'like', plus: 'add', minus: 'sub', times: 'mul', divide: 'div', mod: 'mod', neg: 'neg',
}; // biome-ignore format: a table
