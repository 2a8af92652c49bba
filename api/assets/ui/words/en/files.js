// Words of files: the screen, a chat's, and the sources of answers.
export const files = {
  'files.text': 'Documents you send are read here. Chats that you give them to can look into them, and say on which words an answer rests.',
  'files.add': 'Add files', 'files.sending': 'Sending {name} …', 'files.search': 'Search in files', 'files.find': 'Search',
  'files.empty': 'No files yet. Add a PDF, a Word file, a table, a book or a text.', 'files.unreadable': 'It cannot be read: a folder, or a file that has changed since.', 'files.none': 'Nothing in your files is about this.',
  'files.failed': 'not read', 'files.queued': 'waits to be read', 'files.reading': 'is being read', 'files.stored': 'kept, not read',
  'files.page': 'page {n}', 'files.pages': { one: '{n} page', other: '{n} pages' }, 'files.passages': { one: '{n} passage', other: '{n} passages' },
  'files.col.name': 'Name', 'files.col.kind': 'Kind', 'files.col.size': 'Size', 'files.col.state': 'State', 'files.col.when': 'Added',
  'files.save': 'Download', 'files.save.of': 'Download {name}', 'files.again': 'Read again', 'files.again.of': 'Read {name} again',
  'files.delete': 'Delete the file', 'files.delete.of': 'Delete {name}', 'files.deleted': 'The file is deleted.',
  'files.delete.text': '{name} is deleted, with all that was read of it. Answers keep the words they quoted.',
  'files.of.chat': 'Files of this chat', 'files.of.chat.text': 'Answers in this chat may look into the files you choose.',
  'sources.count': { one: '{n} source', other: '{n} sources' },
  'images.next': 'Images for the next message', 'images.text': 'A model that sees is shown them with what you write.', 'images.large': 'too large for models',
  'images.gone': 'Deleted image', 'images.open': 'Show {name}', 'images.drop': 'Take {name} out',
};
