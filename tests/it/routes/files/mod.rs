mod hostile;
mod images;
mod kept;
mod kinds;
mod knowledge;
mod resumed;
