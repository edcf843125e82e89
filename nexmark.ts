/** `millrace/connectors/nexmark`: the events of the Nexmark benchmark. */
export { type Auction, type Bid, type Nexmark, type NexmarkOptions, nexmark, type Person } from './core/api/nexmark.ts';
