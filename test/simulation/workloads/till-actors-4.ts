/** The fourth version, which mends the third: it reads what all others stored. */
import { migrateParcel, migrateTill, parcelOf, tillOf } from './till-versions.ts';

export const till = tillOf(import.meta.url, 4, migrateTill);
export const parcel = parcelOf(import.meta.url, 4, migrateParcel);
