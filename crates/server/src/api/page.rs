//! Lists in pages: `limit`, `cursor`, and the `next_cursor` of the answer.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use crate::problem::{Code, Problem};

const DEFAULT: u32 = 100;
const MOST: u32 = 1000;

/// The number of items a caller asked for.
pub(crate) fn limit(asked: Option<u32>) -> Result<u32, Problem> {
    match asked.unwrap_or(DEFAULT) {
        limit @ 1..=MOST => Ok(limit),
        limit => Err(Problem {
            limit: Some(MOST.to_string().into()),
            value: Some(limit.to_string().into()),
            ..Problem::field(Code::FieldInvalid, "limit", format!("`limit` is from 1 to {MOST}."))
        }),
    }
}

/// The same of a list that is mostly asked for as a whole: as many as there may be, where nothing else is asked for.
pub(crate) fn limit_of_all(asked: Option<u32>) -> Result<u32, Problem> {
    limit(asked.or(Some(MOST)))
}

/// Which part of a list that is in memory.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageQuery {
    /// At most so many, 1 to 1000; 1000 without.
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// A page of a list that is in memory, and where the next one starts.
///
/// A page goes on after the last item of the one before; when that has gone since, the cursor leads nowhere.
pub(crate) fn part<T, K: Serialize + DeserializeOwned + PartialEq>(
    mut items: Vec<T>,
    limit: Option<u32>,
    cursor: Option<&str>,
    list: &str,
    key: impl Fn(&T) -> K,
) -> Result<(Vec<T>, Option<String>), Problem> {
    let limit = limit_of_all(limit)?;
    if let Some(after) = start::<K>(list, cursor)? {
        let at = items.iter().position(|item| key(item) == after);
        let at =
            at.ok_or_else(|| Problem { field: Some("cursor".into()), ..Problem::new(Code::CursorInvalid) })?;
        items.drain(..=at);
    }
    let next = cut(&mut items, limit, list, key);
    Ok((items, next))
}

/// Where a page starts, from the cursor that the page before gave out.
pub(crate) fn start<T: DeserializeOwned>(list: &str, cursor: Option<&str>) -> Result<Option<T>, Problem> {
    let Some(cursor) = cursor else { return Ok(None) };
    let invalid = || Problem { field: Some("cursor".into()), ..Problem::new(Code::CursorInvalid) };
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| invalid())?;
    let (of, at): (String, T) = serde_json::from_slice(&bytes).map_err(|_| invalid())?;
    if of == list { Ok(Some(at)) } else { Err(invalid()) }
}

/// Cuts a list that was read with one item more than asked for, and says where the next page starts.
///
/// Cursors are opaque to callers; they hold the key of the last item and the list's name, nothing secret.
pub(crate) fn cut<T, K: Serialize>(
    items: &mut Vec<T>,
    limit: u32,
    list: &str,
    key: impl Fn(&T) -> K,
) -> Option<String> {
    if items.len() <= limit as usize {
        return None;
    }
    items.truncate(limit as usize);
    let cursor = serde_json::to_vec(&(list, key(items.last()?))).ok()?;
    Some(URL_SAFE_NO_PAD.encode(cursor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_on_from_the_last_item_and_only_in_its_own_list() {
        let mut items = vec![9, 8, 7];
        let cursor = cut(&mut items, 2, "orders", |n| *n).expect("there is more");
        assert_eq!(items, [9, 8]);
        assert_eq!(start::<i32>("orders", Some(&cursor)).unwrap(), Some(8));
        for (list, cursor) in [("fills", cursor.as_str()), ("orders", "x"), ("orders", "e30"), ("orders", "")]
        {
            assert_eq!(start::<i32>(list, Some(cursor)).unwrap_err().code, Code::CursorInvalid);
        }
        assert_eq!(cut(&mut items, 2, "orders", |n| *n), None);
    }

    #[test]
    fn a_list_in_memory_is_read_in_pages_to_its_end() {
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let (page, next) =
                part(vec![5, 3, 9, 1, 7], Some(2), cursor.as_deref(), "books", |n| *n).unwrap();
            seen.extend(page);
            cursor = next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, [5, 3, 9, 1, 7]);
        let (_, next) = part(vec![5, 3], Some(1), None, "books", |n| *n).unwrap();
        let gone = part(vec![3], Some(1), next.as_deref(), "books", |n| *n).unwrap_err();
        assert_eq!(gone.code, Code::CursorInvalid);
    }

    #[test]
    fn a_page_has_one_to_a_thousand_items() {
        assert_eq!(limit(None).unwrap(), 100);
        assert_eq!(limit(Some(1000)).unwrap(), 1000);
        assert!(limit(Some(0)).is_err() && limit(Some(1001)).is_err());
    }
}
