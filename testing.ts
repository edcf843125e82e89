/** Testing jobs without threads and without waiting: `millrace/testing`. */
export { type TestDriver, type TestDriverOptions, testDriver } from './testing/driver.ts';
