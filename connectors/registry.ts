/**
 * Connectors by kind. Each is imported when a job first uses it, so that a job loads nothing that it does not use
 * (apache-arrow alone costs 100 ms).
 */
import { MillraceError } from '../core/base/errors.ts';
import type { ConnectorSpec, SinkConnector, SourceConnector } from '../core/ports/connector.ts';

export const sourceConnectors: Readonly<Record<string, () => Promise<SourceConnector>>> = {
  collection: async () => (await import('./rows/collection.ts')).collectionSource,
  iterable: async () => (await import('./rows/iterable.ts')).iterableSource,
  csv: async () => (await import('./csv/source.ts')).csvSource,
  channel: async () => (await import('./rows/channel.ts')).channelSource,
  log: async () => (await import('./rows/log.ts')).logSource,
  arrow: async () => (await import('./arrow/source.ts')).arrowSource,
  generator: async () => (await import('./generator/generator.ts')).generatorSource,
  jsonl: async () => (await import('./jsonl/source.ts')).jsonlSource,
  nexmark: async () => (await import('./nexmark/nexmark.ts')).nexmarkSource,
  parquet: async () => (await import('./parquet/source.ts')).parquetSource,
};

export const sinkConnectors: Readonly<Record<string, () => Promise<SinkConnector>>> = {
  arrow: async () => (await import('./arrow/sink.ts')).arrowSink,
  blackhole: async () => (await import('./blackhole/blackhole.ts')).blackholeSink,
  callback: async () => (await import('./rows/callback.ts')).callbackSink,
  csv: async () => (await import('./csv/sink.ts')).csvSink,
  handle: async () => (await import('./rows/callback.ts')).handleSink,
  jsonl: async () => (await import('./jsonl/sink.ts')).jsonlSink,
  parquet: async () => (await import('./parquet/sink.ts')).parquetSink,
  print: async () => (await import('./print/print.ts')).printSink,
};

/** What this thread has imported: to import again what is there costs a tenth of a millisecond. */
const loadedSources = new Map<string, Promise<SourceConnector>>();
const loadedSinks = new Map<string, Promise<SinkConnector>>();

function once<T>(loaded: Map<string, Promise<T>>, kind: string, load: () => Promise<T>): Promise<T> {
  const known = loaded.get(kind) ?? load();
  loaded.set(kind, known);
  return known;
}

/** Errors: `source/unsupported` for a kind that cannot be read. */
export function sourceConnector(kind: string): Promise<SourceConnector> {
  const load = Object.hasOwn(sourceConnectors, kind) ? sourceConnectors[kind] : undefined;
  if (load) return once(loadedSources, kind, load);
  throw new MillraceError('source/unsupported', unknown('read', kind, sourceConnectors));
}

/** Errors: `sink/failed` for a kind that cannot be written. */
export function sinkConnector(kind: string): Promise<SinkConnector> {
  const load = Object.hasOwn(sinkConnectors, kind) ? sinkConnectors[kind] : undefined;
  if (load) return once(loadedSinks, kind, load);
  throw new MillraceError('sink/failed', unknown('write', kind, sinkConnectors));
}

/** A place's resource made ready to leave the thread that called `run`. */
export interface PreparedResource {
  /** The spec with what only the resource could tell (its columns, its row count). */
  readonly spec: ConnectorSpec;
  /** What goes to the coordinator and the slots under the resource's id; undefined: it stays in this thread. */
  readonly shared: unknown;
}

/**
 * Called on the caller's thread for every source and sink that has a resource, before the plan is submitted.
 * Errors: `schema/mismatch`, `source/unsupported` for values that are no rows or no Arrow.
 */
export async function prepareResource(spec: ConnectorSpec, value: unknown): Promise<PreparedResource> {
  switch (spec.kind) {
    case 'collection':
      return { spec: (await import('./rows/collection.ts')).describedCollection(spec, value), shared: undefined };
    case 'arrow':
      // Sinks of this kind have a function as their resource: it stays here.
      if (typeof value === 'function') return { spec, shared: undefined };
      return { spec, shared: (await import('./arrow/share.ts')).prepareArrowTable(value) };
    case 'blackhole':
      return { spec, shared: value };
    case 'iterable': {
      // A function that makes the iterable can make it again.
      const again = typeof value === 'function';
      return { spec: again ? { ...spec, options: { ...spec.options, again } } : spec, shared: undefined };
    }
    default:
      return { spec, shared: undefined };
  }
}

function unknown(verb: string, kind: string, among: object): string {
  return `there is no connector '${kind}' to ${verb}; there are ${Object.keys(among).sort().join(', ')}`;
}
