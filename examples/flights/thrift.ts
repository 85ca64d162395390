/**
 * Thrift's compact protocol, read only: what Parquet writes its metadata in.
 *
 * Owns: structs as maps from field number to value. Names of the fields are the business of whoever knows the format.
 */
export type ThriftValue = boolean | number | Uint8Array | ThriftStruct | readonly ThriftValue[];
export type ThriftStruct = ReadonlyMap<number, ThriftValue>;

const STOP = 0;
const TRUE = 1;
const FALSE = 2;
const BYTE = 3;
const I16 = 4;
const I64 = 6;
const BINARY = 8;
const LIST = 9;
const SET = 10;
const STRUCT = 12;

export class ThriftReader {
  readonly #bytes: Uint8Array;
  /** Where the next value begins. */
  at: number;

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = bytes;
    this.at = at;
  }

  struct(): ThriftStruct {
    const fields = new Map<number, ThriftValue>();
    let field = 0;
    for (let head = this.#byte(); head !== STOP; head = this.#byte()) {
      const step = head >> 4;
      field = step === 0 ? this.#zigzag() : field + step;
      const type = head & 15;
      fields.set(field, type === TRUE || type === FALSE ? type === TRUE : this.#value(type));
    }
    return fields;
  }

  /** An unsigned number of 7 bits a byte. Exact up to 2^53. */
  varint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#byte();
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  }

  #value(type: number): ThriftValue {
    if (type === BYTE) return this.#byte();
    if (type >= I16 && type <= I64) return this.#zigzag();
    switch (type) {
      case TRUE:
      case FALSE:
        return this.#byte() === TRUE;
      case BINARY: {
        const length = this.varint();
        this.at += length;
        return this.#bytes.subarray(this.at - length, this.at);
      }
      case LIST:
      case SET:
        return this.#list();
      case STRUCT:
        return this.struct();
      default:
        throw new Error(`thrift type ${type} at byte ${this.at} is not one that Parquet's metadata uses`);
    }
  }

  #list(): readonly ThriftValue[] {
    const head = this.#byte();
    const length = head >> 4 === 15 ? this.varint() : head >> 4;
    return Array.from({ length }, () => this.#value(head & 15));
  }

  #zigzag(): number {
    const value = this.varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  #byte(): number {
    const byte = this.#bytes[this.at];
    if (byte === undefined) throw new Error(`thrift ends in the middle of a value, at byte ${this.at}`);
    this.at += 1;
    return byte;
  }
}
