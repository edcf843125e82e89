/** Columns of a place, for who puts something else in its stead. Looks at the place. */
import { prepareResource, sourceConnector } from '../connectors/registry.ts';
import type { ConnectorSpec } from '../core/ports/connector.ts';
import type { Fields } from '../core/record/types.ts';

/** Errors: `source/…` where the place cannot be looked at. */
export async function fieldsOfPlace(spec: ConnectorSpec, resources: ReadonlyMap<string, unknown>): Promise<Fields> {
  const id = spec.options.resource;
  const connector = await sourceConnector(spec.kind);
  if (typeof id !== 'string') return (await connector.describe(spec, () => undefined)).fields;
  const prepared = await prepareResource(spec, resources.get(id));
  const resource = (): unknown => prepared.shared ?? resources.get(id);
  return (await connector.describe(prepared.spec, resource)).fields;
}
