mod hostile;
mod kept;
mod kinds;
mod knowledge;
mod resumed;
