/**
 * A WebAssembly module as bytes: just what compiled expressions need, over one imported memory. It knows opcodes, not
 * expressions. After the WebAssembly core specification 1.0 with SIMD, saturating truncation, bulk memory, threads.
 */

export const Type = { i32: 0x7f, i64: 0x7e, f64: 0x7c, v128: 0x7b } as const;
export type Type = (typeof Type)[keyof typeof Type];

/** Instructions without immediates. */
export const Op = {
  unreachable: 0x00, else: 0x05, end: 0x0b, return: 0x0f, drop: 0x1a, select: 0x1b,
  i32Eqz: 0x45, i32Eq: 0x46, i32Ne: 0x47, i32LtS: 0x48, i32LtU: 0x49, i32GtS: 0x4a, i32GtU: 0x4b, i32LeS: 0x4c, i32LeU: 0x4d, i32GeS: 0x4e, i32GeU: 0x4f,
  i64Eqz: 0x50, i64Eq: 0x51, i64Ne: 0x52, i64LtS: 0x53, i64LtU: 0x54, i64GtS: 0x55, i64GtU: 0x56, i64LeS: 0x57, i64GeS: 0x59,
  f64Eq: 0x61, f64Ne: 0x62, f64Lt: 0x63, f64Gt: 0x64, f64Le: 0x65, f64Ge: 0x66,
  i32Add: 0x6a, i32Sub: 0x6b, i32Mul: 0x6c, i32RemS: 0x6f, i32And: 0x71, i32Or: 0x72, i32Xor: 0x73, i32Shl: 0x74, i32ShrS: 0x75, i32ShrU: 0x76,
  i64Add: 0x7c, i64Sub: 0x7d, i64Mul: 0x7e, i64DivS: 0x7f, i64RemS: 0x81, i64And: 0x83, i64Or: 0x84, i64Xor: 0x85, i64Shl: 0x86, i64ShrS: 0x87, i64ShrU: 0x88,
  f64Abs: 0x99, f64Neg: 0x9a, i32Popcnt: 0x69, f64Ceil: 0x9b, f64Floor: 0x9c, f64Trunc: 0x9d, f64Add: 0xa0, f64Sub: 0xa1, f64Mul: 0xa2, f64Div: 0xa3, f64CopySign: 0xa6,
  i64Extend32S: 0xc4,
  i32WrapI64: 0xa7, i64ExtendI32S: 0xac, i64ExtendI32U: 0xad, f64ConvertI32S: 0xb7, f64ConvertI64S: 0xb9, i64ReinterpretF64: 0xbd, f64ReinterpretI64: 0xbf,
} as const; // biome-ignore format: a table
export type Op = (typeof Op)[keyof typeof Op];

/** Instructions behind the 0xfc prefix. */
export const Trunc = { i32TruncSatF64S: 2, i64TruncSatF64S: 6 } as const;

/** Instructions behind the SIMD prefix, without immediates. */
export const Simd = {
  swizzle: 0x0e, i32x4Splat: 0x11, i64x2Splat: 0x12, f64x2Splat: 0x14,
  i32x4Eq: 0x37, i32x4Ne: 0x38, i32x4LtS: 0x39, i32x4GtS: 0x3b, i32x4LeS: 0x3d, i32x4GeS: 0x3f,
  f64x2Eq: 0x47, f64x2Ne: 0x48, f64x2Lt: 0x49, f64x2Gt: 0x4a, f64x2Le: 0x4b, f64x2Ge: 0x4c,
  and: 0x4e, or: 0x50, xor: 0x51, anyTrue: 0x53,
  i32x4Abs: 0xa0, i32x4Neg: 0xa1, i32x4Bitmask: 0xa4, i32x4Add: 0xae, i32x4Sub: 0xb1, i32x4Mul: 0xb5,
  i64x2Abs: 0xc0, i64x2Neg: 0xc1, i64x2Bitmask: 0xc4, i64x2ExtendLowI32x4S: 0xc7, i64x2Add: 0xce, i64x2Sub: 0xd1, i64x2Mul: 0xd5,
  i64x2ExtmulLowI32x4S: 0xdc, i64x2ExtmulHighI32x4S: 0xdd,
  i64x2Eq: 0xd6, i64x2Ne: 0xd7, i64x2LtS: 0xd8, i64x2GtS: 0xd9, i64x2LeS: 0xda, i64x2GeS: 0xdb,
  f64x2Floor: 0x75, f64x2Ceil: 0x74, f64x2Abs: 0xec, f64x2Neg: 0xed, f64x2ConvertLowI32x4S: 0xfe,
  f64x2Add: 0xf0, f64x2Sub: 0xf1, f64x2Mul: 0xf2, f64x2Div: 0xf3,
} as const; // biome-ignore format: a table

const accesses = {
  i32: [0x28, 2], i64: [0x29, 3], f64: [0x2b, 3], i32u8: [0x2d, 0],
} as const; // biome-ignore format: a table
const stores = { i32: [0x36, 2], i64: [0x37, 3], f64: [0x39, 3], i32u8: [0x3a, 0] } as const;
export type Access = keyof typeof accesses;

export interface Import {
  readonly name: string;
  readonly params: readonly Type[];
  readonly result: Type | null;
}

/** One function's instructions, in the making. Every method appends. */
export class Code {
  readonly bytes: number[] = [];
  readonly #params: number;
  readonly #locals: Type[] = [];
  readonly #module: ModuleBuilder;

  constructor(module: ModuleBuilder, params: number) {
    this.#module = module;
    this.#params = params;
  }

  /** A new local. */
  local(type: Type): number {
    this.#locals.push(type);
    return this.#params + this.#locals.length - 1;
  }
  op(...ops: readonly Op[]): this {
    for (const op of ops) this.bytes.push(op);
    return this;
  }
  trunc(op: number): this {
    this.bytes.push(0xfc, op);
    return this;
  }
  simd(op: number): this {
    this.bytes.push(0xfd);
    unsigned(this.bytes, op);
    return this;
  }
  /** `bytes`: sixteen indices into the bytes of both operands. */
  shuffle(bytes: readonly number[]): this {
    this.bytes.push(0xfd, 0x0d, ...bytes);
    return this;
  }
  get(local: number): this {
    this.bytes.push(0x20);
    unsigned(this.bytes, local);
    return this;
  }
  set(local: number): this {
    this.bytes.push(0x21);
    unsigned(this.bytes, local);
    return this;
  }
  tee(local: number): this {
    this.bytes.push(0x22);
    unsigned(this.bytes, local);
    return this;
  }
  i32(value: number): this {
    this.bytes.push(0x41);
    signed(this.bytes, BigInt(value | 0));
    return this;
  }
  i64(value: bigint): this {
    this.bytes.push(0x42);
    signed(this.bytes, value);
    return this;
  }
  f64(value: number): this {
    this.bytes.push(0x44);
    const view = new DataView(new ArrayBuffer(8));
    view.setFloat64(0, value, true);
    for (let i = 0; i < 8; i++) this.bytes.push(view.getUint8(i));
    return this;
  }
  load(as: Access, offset = 0): this {
    this.bytes.push(...accesses[as]);
    unsigned(this.bytes, offset);
    return this;
  }
  store(as: Access, offset = 0): this {
    this.bytes.push(...stores[as]);
    unsigned(this.bytes, offset);
    return this;
  }
  /** Aligned to 4 bytes only: what Arrow views and selections promise. */
  loadVector(offset = 0): this {
    this.bytes.push(0xfd, 0x00, 0x02);
    unsigned(this.bytes, offset);
    return this;
  }
  /** Eight bytes, zeros above them. */
  loadHalfVector(offset = 0): this {
    this.bytes.push(0xfd, 0x5d, 0x02);
    unsigned(this.bytes, offset);
    return this;
  }
  storeVector(offset = 0): this {
    this.bytes.push(0xfd, 0x0b, 0x02);
    unsigned(this.bytes, offset);
    return this;
  }
  call(of: Import): this {
    this.bytes.push(0x10);
    unsigned(this.bytes, this.#module.import(of));
    return this;
  }
  block(body: () => void): this {
    this.bytes.push(0x02, 0x40);
    body();
    return this.op(Op.end);
  }
  loop(body: () => void): this {
    this.bytes.push(0x03, 0x40);
    body();
    return this.op(Op.end);
  }
  /** Takes the condition from the stack. */
  if(body: () => void, otherwise?: () => void): this {
    this.bytes.push(0x04, 0x40);
    body();
    if (otherwise) {
      this.op(Op.else);
      otherwise();
    }
    return this.op(Op.end);
  }
  branch(depth: number): this {
    this.bytes.push(0x0c);
    unsigned(this.bytes, depth);
    return this;
  }
  branchIf(depth: number): this {
    this.bytes.push(0x0d);
    unsigned(this.bytes, depth);
    return this;
  }
  /** The body as the code section holds it. */
  body(): number[] {
    const bytes: number[] = [];
    const groups: [number, Type][] = [];
    for (const type of this.#locals) {
      const last = groups.at(-1);
      if (last?.[1] === type) last[0]++;
      else groups.push([1, type]);
    }
    unsigned(bytes, groups.length);
    for (const [count, type] of groups) {
      unsigned(bytes, count);
      bytes.push(type);
    }
    for (const byte of this.bytes) bytes.push(byte);
    bytes.push(Op.end);
    return bytes;
  }
}

/** A module over `env.memory`. `shared`: the memory's flag, which must match. Imports are numbered before functions. */
export class ModuleBuilder {
  readonly #imports: Import[] = [];
  readonly #functions: { name: string; params: readonly Type[]; result: Type | null; code: Code }[] = [];
  readonly #shared: boolean;

  constructor(shared = true) {
    this.#shared = shared;
  }
  /** Its index; asked for the first time, it becomes an import of the module. */
  import(of: Import): number {
    const known = this.#imports.findIndex((i) => i.name === of.name);
    return known >= 0 ? known : this.#imports.push(of) - 1;
  }
  get imports(): readonly string[] {
    return this.#imports.map((i) => i.name);
  }
  function(name: string, params: readonly Type[], result: Type | null): Code {
    const code = new Code(this, params.length);
    this.#functions.push({ name, params, result, code });
    return code;
  }
  bytes(): Uint8Array {
    const out = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
    const signature = (params: readonly Type[], result: Type | null) => [
      0x60,
      params.length,
      ...params,
      ...(result === null ? [0] : [1, result]),
    ];
    section(
      out,
      1,
      [...this.#imports, ...this.#functions].map((f) => signature(f.params, f.result)),
    );
    section(out, 2, [
      [...name('env'), ...name('memory'), 0x02, ...(this.#shared ? [0x03, ...leb(1), ...leb(65_536)] : [0x00, 1])],
      ...this.#imports.map((f, i) => [...name('env'), ...name(f.name), 0x00, ...leb(i)]),
    ]);
    section(
      out,
      3,
      this.#functions.map((_, i) => leb(this.#imports.length + i)),
    );
    section(
      out,
      7,
      this.#functions.map((f, i) => [...name(f.name), 0x00, ...leb(this.#imports.length + i)]),
    );
    section(
      out,
      10,
      this.#functions.map((f) => {
        const body = f.code.body();
        return [...leb(body.length), ...body];
      }),
    );
    return Uint8Array.from(out);
  }
}

function section(out: number[], id: number, entries: readonly number[][]): void {
  const count = leb(entries.length);
  const size = entries.reduce((sum, e) => sum + e.length, count.length);
  out.push(id, ...leb(size), ...count);
  for (const entry of entries) for (const byte of entry) out.push(byte);
}
function name(text: string): number[] {
  return [text.length, ...[...text].map((c) => c.charCodeAt(0))];
}
function leb(value: number): number[] {
  const bytes: number[] = [];
  unsigned(bytes, value);
  return bytes;
}
function unsigned(bytes: number[], value: number): void {
  let rest = value >>> 0;
  while (rest > 0x7f) {
    bytes.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  bytes.push(rest);
}
function signed(bytes: number[], value: bigint): void {
  let rest = value;
  for (;;) {
    const byte = Number(rest & 0x7fn);
    rest >>= 7n;
    if ((rest === 0n && (byte & 0x40) === 0) || (rest === -1n && (byte & 0x40) !== 0)) {
      bytes.push(byte);
      return;
    }
    bytes.push(byte | 0x80);
  }
}
