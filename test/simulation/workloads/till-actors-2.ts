/** The second version: it knows the largest amount, and reads what the first one stored. */
import { migrateParcel, migrateTill, parcelOf, tillOf } from './till-versions.ts';

export const till = tillOf(import.meta.url, 2, migrateTill);
export const parcel = parcelOf(import.meta.url, 2, migrateParcel);
