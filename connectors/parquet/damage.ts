/** What is wrong inside a page; the reader adds path, row group, column and page and makes `source/corrupt` of it. */
export class Damage extends Error {}
