//! Lists in pages: `limit`, `cursor`, and the `next_cursor` of the answer.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

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
    fn a_page_has_one_to_a_thousand_items() {
        assert_eq!(limit(None).unwrap(), 100);
        assert_eq!(limit(Some(1000)).unwrap(), 1000);
        assert!(limit(Some(0)).is_err() && limit(Some(1001)).is_err());
    }
}
