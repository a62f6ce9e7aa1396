/** What the scripts here use of Node.js and of their packages, which bring no types along. */

declare module "jsdom";
declare module "opentype.js";
declare module "@resvg/resvg-js";
declare module "node:fs";
declare module "node:readline";
declare module "node:zlib";

declare var require: { (name: string): any; resolve(name: string): string };
declare var module: { exports: any };
declare var process: { stdin: unknown; stdout: { write(text: string): void } };

interface Buffer extends Uint8Array {
  writeUInt32BE(value: number, at?: number): void;
  toString(encoding?: string): string;
}

declare var Buffer: {
  alloc(size: number): Buffer;
  concat(parts: Buffer[]): Buffer;
  from(text: string, encoding?: string): Buffer;
};
