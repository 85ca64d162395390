/**
 * Just enough Parquet to read the first row group of `flights-3m.parquet`: the only file of `vega-datasets` with more than 20,000
 * flights that still names their airports.
 *
 * Owns: zstd pages (version 1) of 64-bit numbers and strings, plain or by dictionary, without nulls. Anything else is refused by name.
 */
import { zstdDecompressSync } from 'node:zlib';
import { ThriftReader, type ThriftStruct } from './thrift.ts';

const ZSTD = 6;
const INT64 = 2;
const BYTE_ARRAY = 6;
const DATA_PAGE = 0;
const DICTIONARY_PAGE = 2;
const PLAIN = 0;
const PLAIN_DICTIONARY = 2;
const RLE_DICTIONARY = 8;

type Value = number | string;

/** The first `count` rows: values by column. */
export function readParquet(file: Buffer, count: number): ReadonlyMap<string, readonly Value[]> {
  if (file.toString('latin1', file.length - 4) !== 'PAR1') throw new Error('not a Parquet file');
  const footerLength = file.readUInt32LE(file.length - 8);
  const footer = new ThriftReader(file, file.length - 8 - footerLength).struct();
  const [rowGroup] = structs(footer, 4);
  if (rowGroup === undefined || number(rowGroup, 3) < count) {
    throw new Error(`the first row group has fewer than ${count} rows`);
  }
  const columns = new Map<string, readonly Value[]>();
  for (const chunk of structs(rowGroup, 1)) {
    const meta = chunk.get(3) as ThriftStruct;
    const name = Buffer.from((meta.get(3) as Uint8Array[])[0] as Uint8Array).toString();
    columns.set(name, readColumn(file, meta, count, name));
  }
  return columns;
}

function readColumn(file: Buffer, meta: ThriftStruct, count: number, name: string): readonly Value[] {
  const type = number(meta, 1);
  if (number(meta, 4) !== ZSTD) throw new Error(`column ${name} is not compressed with zstd`);
  if (type !== INT64 && type !== BYTE_ARRAY) throw new Error(`column ${name} has type ${type}`);
  const values: Value[] = [];
  let dictionary: readonly Value[] = [];
  let at = meta.has(11) ? number(meta, 11) : number(meta, 9);
  while (values.length < count) {
    const reader = new ThriftReader(file, at);
    const header = reader.struct();
    const end = reader.at + number(header, 3);
    const page = zstdDecompressSync(file.subarray(reader.at, end));
    at = end;
    if (number(header, 1) === DICTIONARY_PAGE) {
      dictionary = readPlain(page, 0, type, number(header.get(7) as ThriftStruct, 1));
      continue;
    }
    if (number(header, 1) !== DATA_PAGE) throw new Error(`column ${name} has pages of kind ${number(header, 1)}`);
    const data = header.get(5) as ThriftStruct;
    const encoding = number(data, 2);
    // In front, its length before it: which values are null. None is.
    const start = 4 + page.readUInt32LE(0);
    const length = number(data, 1);
    if (encoding === PLAIN) for (const value of readPlain(page, start, type, length)) values.push(value);
    else if (encoding === RLE_DICTIONARY || encoding === PLAIN_DICTIONARY) {
      for (const index of readHybrid(page, start + 1, page[start] as number, length)) {
        values.push(dictionary[index] as Value);
      }
    } else throw new Error(`column ${name} has encoding ${encoding}`);
  }
  values.length = count;
  return values;
}

function readPlain(page: Buffer, start: number, type: number, length: number): readonly Value[] {
  let at = start;
  return Array.from({ length }, () => {
    if (type === INT64) {
      at += 8;
      return Number(page.readBigInt64LE(at - 8));
    }
    const bytes = page.readUInt32LE(at);
    at += 4 + bytes;
    return page.toString('utf8', at - bytes, at);
  });
}

/** Runs of one number, and groups of eight packed ones, of `width` bits each. */
function readHybrid(page: Buffer, start: number, width: number, length: number): readonly number[] {
  const reader = new ThriftReader(page, start);
  const numbers: number[] = [];
  while (numbers.length < length) {
    const head = reader.varint();
    const run = Math.floor(head / 2);
    if (head % 2 === 0) {
      const bytes = Math.ceil(width / 8);
      const value = bytes === 0 ? 0 : page.readUIntLE(reader.at, bytes);
      reader.at += bytes;
      for (let i = 0; i < run; i++) numbers.push(value);
    } else {
      for (let i = 0; i < run * 8; i++) numbers.push(readBits(page, reader.at * 8 + i * width, width));
      reader.at += run * width;
    }
  }
  numbers.length = length;
  return numbers;
}

function readBits(page: Buffer, from: number, width: number): number {
  let value = 0;
  for (let bit = 0; bit < width; bit++) {
    const at = from + bit;
    value += (((page[at >> 3] ?? 0) >> (at & 7)) & 1) * 2 ** bit;
  }
  return value;
}

function structs(of: ThriftStruct, field: number): readonly ThriftStruct[] {
  return of.get(field) as readonly ThriftStruct[];
}

function number(of: ThriftStruct, field: number): number {
  const value = of.get(field);
  if (typeof value !== 'number') throw new Error(`field ${field} of Parquet's metadata is missing`);
  return value;
}
