// Words of files: the screen, a chat's, and the sources of answers.
export const files = {
  'files.text': 'আপনি যে নথি পাঠান, তা এখানে পড়া হয়। যে আলাপে সেগুলো দেন, সেখানে উত্তর নথি দেখে দেওয়া হয়, আর কোন কথার ওপর দাঁড়িয়ে তা বলা হয়।',
  'files.add': 'ফাইল যোগ করুন', 'files.sending': '{name} পাঠানো হচ্ছে …', 'files.search': 'ফাইলে খুঁজুন', 'files.find': 'খুঁজুন',
  'files.empty': 'এখনো কোনো ফাইল নেই। PDF, Word ফাইল, সারণি, বই বা লেখা যোগ করুন।', 'files.unreadable': 'এটা পড়া যাচ্ছে না: হয় ফোল্ডার, নয় বেছে নেওয়ার পর বদলে গেছে।', 'files.none': 'আপনার ফাইলে এ নিয়ে কিছু নেই।',
  'files.failed': 'পড়া যায়নি', 'files.queued': 'পড়ার অপেক্ষায়', 'files.reading': 'পড়া হচ্ছে', 'files.stored': 'রাখা আছে, পড়া হয়নি',
  'files.page': 'পৃষ্ঠা {n}', 'files.pages': { one: '{n} পৃষ্ঠা', other: '{n} পৃষ্ঠা' }, 'files.passages': { one: '{n}টি অংশ', other: '{n}টি অংশ' },
  'files.col.name': 'নাম', 'files.col.kind': 'ধরন', 'files.col.size': 'আকার', 'files.col.state': 'অবস্থা', 'files.col.when': 'যোগ হয়েছে',
  'files.save': 'নামান', 'files.save.of': '{name} নামান', 'files.again': 'আবার পড়ুন', 'files.again.of': '{name} আবার পড়ুন',
  'files.delete': 'ফাইল মুছুন', 'files.delete.of': '{name} মুছুন', 'files.deleted': 'ফাইলটা মোছা হয়েছে।',
  'files.delete.text': '{name} আর সেখান থেকে যা পড়া হয়েছে সব মুছে যাবে। উত্তরে তুলে দেওয়া কথা থেকে যাবে।',
  'files.of.chat': 'এই আলাপের ফাইল', 'files.of.chat.text': 'আপনার বেছে নেওয়া ফাইল দেখে এই আলাপে উত্তর দেওয়া হতে পারে।',
  'sources.count': { one: '{n}টি উৎস', other: '{n}টি উৎস' },
  'images.next': 'পরের বার্তার সঙ্গে ছবি', 'images.text': 'যে মডেল ছবি দেখতে পারে, আপনার লেখার সঙ্গে সে এগুলো দেখবে।', 'images.large': 'মডেলের জন্য বেশি বড়',
  'images.gone': 'মোছা ছবি', 'images.open': '{name} দেখান', 'images.drop': '{name} বাদ দিন',
};
