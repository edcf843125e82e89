#!/usr/bin/env node
/** The command line. Knows the public engine only; every command is a file beside this one. */
import { existsSync, readFileSync } from 'node:fs';
import { coordinator } from '../engine/caller.ts';
import { fail, watchOutput } from './output.ts';

// Its thread starts while everything else is imported.
if (process.argv[2] === 'run') coordinator();
const { Command, InvalidArgumentError, Option } = await import('commander');

/** Two folders above this file, three above the bundle. */
const manifest = ['../../package.json', '../../../package.json']
  .map((path) => new URL(path, import.meta.url))
  .find((url) => existsSync(url))!;
const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string };

const count = (text: string): number => {
  const value = Number(text);
  if (!Number.isInteger(value)) throw new InvalidArgumentError('It must be a whole number.');
  return value;
};
/** `20m`, `500k`, `1000`. */
const amount = (text: string): number => {
  const match = /^(\d+(?:\.\d+)?)([km]?)$/i.exec(text);
  const value = match ? Number(match[1]) * ({ k: 1000, m: 1_000_000 }[match[2]!.toLowerCase()] ?? 1) : Number.NaN;
  if (!Number.isInteger(value)) throw new InvalidArgumentError("It must be a number, as in '20m', '500k' or '1000'.");
  return value;
};
const param = (text: string, before: Record<string, string>): Record<string, string> => {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('Write it as name=value.');
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
};

const paramOption = () =>
  new Option('--param <name=value>', 'a value for the job; may be given often').argParser(param).default({}, 'none');

const program = new Command('millrace')
  .description('Parallel batch and stream analytics inside a Node.js process.')
  .version(version)
  .showHelpAfterError('(millrace --help shows the commands)');

program
  .command('run')
  .description('run a job file, JavaScript or TypeScript')
  .argument('<job>', 'file whose default export is a job')
  .option('-p, --parallelism <n>', 'slots: threads that each run a part of every chain', count)
  .option('-m, --memory <size>', "what the slots share, as in '2gb'")
  .option('--stream', 'as an unbounded stream: sources do not end by themselves, windows close on watermarks')
  .addOption(paramOption())
  .option('-q, --quiet', 'no progress, no summary')
  .option('--state-dir <dir>', 'keep state there, and go on from its newest checkpoint')
  .option('--checkpoint <every>', "how often, as in '10s', '500ms', 'never' (needs --state-dir)")
  .option('--from <savepoint>', 'begin from a savepoint, as long as the state directory has no checkpoint')
  .option('--allow-non-restored-state', 'drop state whose operator is not in the job any more')
  .option('--take-over', 'take the state directory from a process that still lives')
  .action(async (file: string, options) => (await import('./run.ts')).runCommand(file, options));

program
  .command('explain')
  .description('show the plan: logical, rewritten, chains, edges, traits, what is compiled and what is not')
  .argument('<job>', 'file whose default export is a job')
  .option('-p, --parallelism <n>', 'slots', count)
  .option('--stream', 'as an unbounded stream')
  .addOption(paramOption())
  .action(async (file: string, options) => (await import('./explain.ts')).explainCommand(file, options));

const stateDirOption = () =>
  new Option('--state-dir <dir>', 'state directory of the running job').makeOptionMandatory();

program
  .command('savepoint')
  .description('have the running job write a savepoint: self-contained, relocatable, readable as Arrow files')
  .argument('<dir>', 'where to; a directory that is made')
  .addOption(stateDirOption())
  .action(async (directory: string, options) => (await import('./control.ts')).savepointCommand(directory, options));

program
  .command('stop')
  .description('end the running job in order, with a last checkpoint from which it can go on')
  .addOption(stateDirOption())
  .option('--savepoint <dir>', 'and a savepoint of where it ended')
  .option('--drain', 'its sources end, its windows close: there is nothing to go on with')
  .action(async (options) => (await import('./control.ts')).stopCommand(options));

program
  .command('cancel')
  .description('end the running job where it is; its last checkpoint stays')
  .addOption(stateDirOption())
  .action(async (options) => (await import('./control.ts')).cancelCommand(options));

const checkpoints = program.command('checkpoints').description('look at the checkpoints of a state directory');
checkpoints
  .command('list')
  .description('every checkpoint: when, of which job, how large')
  .argument('<dir>', 'state directory')
  .action(async (directory: string) => (await import('./checkpoints.ts')).listCommand(directory));
checkpoints
  .command('verify')
  .description('read every file and compare it with its manifest; exit code 1 when one is damaged')
  .argument('<dir>', 'state directory')
  .action(async (directory: string) => (await import('./checkpoints.ts')).verifyCommand(directory));

program
  .command('state')
  .description('look at a savepoint')
  .command('show')
  .description('what it holds: operators, states, sizes; of one operator also columns and a sample')
  .argument('<savepoint>', 'directory of a savepoint')
  .argument('[operator]', 'id of an operator')
  .action(async (directory: string, operator: string | undefined) =>
    (await import('./state.ts')).showCommand(directory, operator),
  );

const eventOptions = (command: InstanceType<typeof Command>): InstanceType<typeof Command> =>
  command
    .option('--events <n>', "events of all three kinds, as in '20m'", amount, 1_000_000)
    .option('--rate <n>', 'events to a second of event time', amount, 100_000)
    .option('--seed <n>', 'of the events', count, 0)
    .option('-p, --parallelism <n>', 'slots', count);

eventOptions(program.command('bench'))
  .description('measure a query over events that are made while the clock runs')
  .argument('<suite>', 'nexmark')
  .requiredOption('--query <name>', 'a query of examples/nexmark, as in q5')
  .option('--stream', 'as an unbounded stream')
  .option('--bounded', 'as ended input (unless said)')
  .option('--checkpoint <every>', "with checkpoints, as in '10s'")
  .option('--whole', 'make every kind of event and every column, whatever the query asks for')
  .option('--no-digest', 'count the rows of the result, and do no more with them')
  .option('--json', 'as one line of JSON')
  .action(async (suite: string, options) => (await import('./nexmark.ts')).benchCommand(suite, options));

eventOptions(program.command('nexmark'))
  .description("write Nexmark's events as files: persons, auctions and bids")
  .argument('<dir>', 'where to; a directory each')
  .addOption(new Option('--format <format>', 'of the files').choices(['parquet', 'jsonl', 'csv']).default('parquet'))
  .action(async (directory: string, options) => (await import('./nexmark.ts')).eventsCommand(directory, options));

watchOutput();
try {
  await program.parseAsync();
} catch (error) {
  fail(error);
}
