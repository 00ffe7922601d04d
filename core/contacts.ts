import { mkdirSync, readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import { HearthlendError } from './contract/errors.ts';
import { Contact, MAX_CONTACTS } from './contract/sending.ts';
import { storageError } from './contract/storage-error.ts';
import { putFile } from './wallet/durable.ts';

const MAX_FILE_BYTES = 256 * 1024;
const Contacts = z.array(Contact).max(MAX_CONTACTS);

/** The addresses that somebody sends to, by name: a file (0600) of its own. A name is the same in capitals and without. */
export interface AddressBook {
  /** By name. @throws CONTACTS_INVALID */
  all(): Contact[];
  find(name: string): Contact | null;
  put(contact: Contact): Contact;
  /** @throws CONTACT_UNKNOWN */
  remove(name: string): Contact;
}

export function openAddressBook(path: string): AddressBook {
  const invalid = (detail: string) => new HearthlendError('CONTACTS_INVALID', { path, detail });

  function all(): Contact[] {
    let text: string;
    try {
      const found = statSync(path, { throwIfNoEntry: false });
      if (found === undefined) return [];
      if (!found.isFile() || found.size > MAX_FILE_BYTES) throw invalid('it is too large');
      text = readFileSync(path, 'utf8');
    } catch (thrown) {
      throw storageError(path, thrown);
    }
    try {
      return Contacts.parse(JSON.parse(text));
    } catch {
      throw invalid('it is damaged');
    }
  }

  function write(contacts: Contact[]): void {
    try {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    } catch (thrown) {
      throw storageError(path, thrown);
    }
    putFile(path, `${JSON.stringify(contacts, null, 2)}\n`, 'replace');
  }

  const named = (name: string) => (contact: Contact) => contact.name.toLowerCase() === name.trim().toLowerCase();
  return {
    all,
    find: (name) => all().find(named(name)) ?? null,
    put(contact) {
      const others = all().filter((each) => !named(contact.name)(each));
      if (others.length >= MAX_CONTACTS) throw invalid(`there are ${MAX_CONTACTS} already`);
      write([...others, contact].sort((a, b) => a.name.localeCompare(b.name)));
      return contact;
    },
    remove(name) {
      const contacts = all();
      const found = contacts.find(named(name));
      if (found === undefined) throw new HearthlendError('CONTACT_UNKNOWN', { name });
      write(contacts.filter((each) => each !== found));
      return found;
    },
  };
}
