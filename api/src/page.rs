//! Lists as they are answered: whole ones, and pages of long ones.

use std::borrow::Cow;

use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ArrayBuilder, KnownFormat, ObjectBuilder, Ref, RefOr, Schema, SchemaFormat, Type, schema::SchemaType,
    },
};

use crate::extract::encode_cursor;

/// `listed!(ProjectList = Page<Project>, Total::Always)` names the list of something; a list of pages that is not counted, or
/// a whole one, says nothing of a total.
macro_rules! listed {
    ($name:ident = $kind:ident<$item:ty> $(, $total:expr)?) => {
        pub type $name = $crate::page::$kind<$item>;

        impl $crate::page::Listed for $item {
            const LIST: &'static str = stringify!($name);
            $(const TOTAL: $crate::page::Total = $total;)?
        }
    };
}
pub(crate) use listed;

/// Something that is answered in a list.
pub trait Listed: ToSchema {
    /// What its list is called in the description: the classes that generators make have this name.
    const LIST: &'static str;
    /// Of pages.
    const TOTAL: Total = Total::Never;
}

/// Whether a page says how many there are on all pages.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Total {
    Always,
    /// Only where the request asks for it, because it costs.
    Asked(&'static str),
    Never,
}

/// A list that is answered as a whole.
#[derive(Serialize)]
pub struct List<T> {
    items: Vec<T>,
}

impl<T> List<T> {
    pub fn of(rows: Vec<impl Into<T>>) -> Self {
        Self { items: rows.into_iter().map(Into::into).collect() }
    }
}

/// A page of a list that goes on at `next_cursor`, if it does.
#[derive(Serialize)]
pub struct Page<T> {
    items: Vec<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<i64>,
    next_cursor: Option<String>,
}

impl<T> Page<T> {
    pub fn empty() -> Self {
        Self { items: Vec::new(), total: None, next_cursor: None }
    }

    /// What was found for a page of at most `limit`. A full one may go on behind its last item, at the place that `place`
    /// names.
    pub fn of<R: Into<T>, P: Serialize>(rows: Vec<R>, limit: i64, place: impl FnOnce(&R) -> P) -> Self {
        let next_cursor = next_cursor(&rows, limit, place);
        Self { items: rows.into_iter().map(Into::into).collect(), total: None, next_cursor }
    }

    /// A page that says itself where the list goes on.
    pub fn until<P: Serialize>(items: Vec<T>, next: Option<P>) -> Self {
        Self { items, total: None, next_cursor: next.map(|place| encode_cursor(&place)) }
    }

    pub fn with_total(self, total: Option<i64>) -> Self {
        Self { total, ..self }
    }
}

/// Where a list goes on behind a page of at most `limit`; `None` when this was its last.
pub fn next_cursor<T, P: Serialize>(items: &[T], limit: i64, place: impl FnOnce(&T) -> P) -> Option<String> {
    let is_full = items.len() as i64 == limit;
    items.last().filter(|_| is_full).map(|last| encode_cursor(&place(last)))
}

impl<T: Listed> ToSchema for List<T> {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed(T::LIST)
    }

    fn schemas(all: &mut Vec<(String, RefOr<Schema>)>) {
        of_item::<T>(all);
    }
}

impl<T: Listed> PartialSchema for List<T> {
    fn schema() -> RefOr<Schema> {
        items::<T>().into()
    }
}

impl<T: Listed> ToSchema for Page<T> {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed(T::LIST)
    }

    fn schemas(all: &mut Vec<(String, RefOr<Schema>)>) {
        of_item::<T>(all);
    }
}

impl<T: Listed> PartialSchema for Page<T> {
    fn schema() -> RefOr<Schema> {
        let number = |kind: SchemaType| {
            ObjectBuilder::new().schema_type(kind).format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        };
        let or_null = |kind: Type| SchemaType::Array(vec![kind, Type::Null]);
        let page = items::<T>();
        let page = match T::TOTAL {
            Total::Always => page.property("total", number(Type::Integer.into())).required("total"),
            Total::Asked(said) => {
                page.property("total", number(or_null(Type::Integer)).description(Some(said)))
            }
            Total::Never => page,
        };
        page.property("next_cursor", ObjectBuilder::new().schema_type(or_null(Type::String))).into()
    }
}

fn items<T: Listed>() -> ObjectBuilder {
    let items = ArrayBuilder::new().items(Ref::from_schema_name(T::name()));
    ObjectBuilder::new().property("items", items).required("items")
}

fn of_item<T: Listed>(all: &mut Vec<(String, RefOr<Schema>)>) {
    all.push((T::name().into_owned(), T::schema()));
    T::schemas(all);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_full_page_goes_on() {
        let page = |items: &[i64]| json!(Page::<i64>::of(items.to_vec(), 2, |last| *last));
        assert_eq!(page(&[7, 8]), json!({"items": [7, 8], "next_cursor": encode_cursor(&8)}));
        assert_eq!(page(&[7]), json!({"items": [7], "next_cursor": null}));
        assert_eq!(page(&[]), json!(Page::<i64>::empty()));
        assert_eq!(json!(Page::<i64>::empty().with_total(Some(9)))["total"], 9);
        assert_eq!(json!(List::<i64>::of(vec![7])), json!({"items": [7]}));
    }
}
