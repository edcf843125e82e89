/**
 * Marks that only the compiler sees: they carry the types of rows, modes and levels, and nothing of them exists at run
 * time. They come first in their interfaces, so that an error names them and not a method.
 */
export declare const value: unique symbol;
export declare const level: unique symbol;
export declare const mode: unique symbol;
export declare const neverNull: unique symbol;
export declare const reads: unique symbol;
export declare const sends: unique symbol;
export declare const accepts: unique symbol;
export declare const writes: unique symbol;
export declare const handle: unique symbol;
export declare const errs: unique symbol;
