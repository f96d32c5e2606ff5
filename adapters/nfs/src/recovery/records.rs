//! Which clients are on record, in the host's key-value store.
//!
//! A record is written when a client is confirmed, and says from RECLAIM_COMPLETE (4.1) or the first OPEN
//! (4.0) on that the client may reclaim after a restart. All writes follow what the state says at the time
//! of writing, one after another: whoever comes last writes the truth, in whatever order changes came about.

use std::collections::HashMap;

use bytes::Bytes;
use dittofs_sdk::{Kv, KvError};
use tokio::sync::Mutex;

use crate::state::grace::{Claimant, Name};
use crate::state::{Principal, Standing};
use crate::types::{ClientId, Family};
use crate::xdr::{BadXdr, Decode, Encode, Reader, Writer};

const PREFIX: &str = "client/";
/// Of the format of a value.
const VERSION: u32 = 1;

/// The records.
#[derive(Default)]
pub struct Records {
    store: Option<Kv>,
    kept: Mutex<HashMap<Name, Kept>>,
}

/// One record, as it is in the store.
#[derive(Debug)]
struct Kept {
    key: String,
    principal: Principal,
    reclaimable: bool,
}

/// The value of a record.
#[derive(Debug, PartialEq, Eq)]
struct Value {
    name: Name,
    principal: Principal,
    reclaimable: bool,
}

impl Records {
    /// Reads what an earlier start left: the records, and who may reclaim by them. Those that entitle to
    /// nothing, or can't be read, are removed: RFC 8881 §8.4.3 wants no reclaim then.
    pub async fn load(kv: &Kv) -> Result<(Self, Vec<Claimant>), KvError> {
        let mut kept = HashMap::new();
        let mut claimants = Vec::new();
        for (key, value) in kv.list(PREFIX).await? {
            let value = match Value::decode(&mut Reader::new(value)) {
                Ok(value) if value.reclaimable && !kept.contains_key(&value.name) => value,
                found => {
                    if found.is_err() {
                        tracing::warn!(key, "a client's record can't be read: it may not reclaim");
                    }
                    kv.delete(&key).await?;
                    continue;
                }
            };
            claimants.push(Claimant {
                name: value.name.clone(),
                principal: value.principal,
            });
            let (principal, reclaimable) = (value.principal, value.reclaimable);
            let record = Kept {
                key,
                principal,
                reclaimable,
            };
            kept.insert(value.name, record);
        }
        let records = Self {
            store: Some(kv.clone()),
            kept: Mutex::new(kept),
        };
        Ok((records, claimants))
    }

    /// Brings the record of this name in line with what `standing` finds, on stable storage when this
    /// returns.
    pub async fn update(
        &self,
        name: Name,
        standing: impl FnOnce() -> Option<Standing>,
    ) -> Result<(), KvError> {
        let mut kept = self.kept.lock().await;
        let Some(store) = &self.store else {
            return Ok(());
        };
        let Some(Standing {
            id: ClientId(id),
            principal,
            reclaimable,
        }) = standing()
        else {
            if let Some(record) = kept.get(&name) {
                store.delete(&record.key).await?;
                kept.remove(&name);
            }
            return Ok(());
        };
        let known = kept.get(&name);
        let same = |known: &Kept| known.principal == principal && known.reclaimable == reclaimable;
        if known.is_some_and(same) {
            return Ok(());
        }
        let key = match known {
            Some(known) => known.key.clone(),
            None => format!("{PREFIX}{id:016x}"),
        };
        let value = Value {
            name: name.clone(),
            principal,
            reclaimable,
        };
        let mut writer = Writer::default();
        value.encode(&mut writer);
        let bytes = Bytes::copy_from_slice(writer.as_slice());
        store.put(&key, bytes).await?;
        let record = Kept {
            key,
            principal,
            reclaimable,
        };
        kept.insert(name, record);
        Ok(())
    }
}

impl Encode for Value {
    fn encode(&self, writer: &mut Writer) {
        let (family, owner) = &self.name;
        writer.write(&VERSION);
        writer.write(&(*family as u32));
        writer.opaque(owner);
        match self.principal {
            Principal::Nobody => writer.write(&0_u32),
            Principal::Sys(user) => {
                writer.write(&1_u32);
                writer.write(&user);
            }
        }
        writer.write(&self.reclaimable);
    }
}

impl Decode for Value {
    fn decode(reader: &mut Reader) -> Result<Self, BadXdr> {
        if reader.read::<u32>()? != VERSION {
            return Err(BadXdr);
        }
        let family = Family::from_number(reader.read()?).ok_or(BadXdr)?;
        let owner = reader.read()?;
        let principal = match reader.read::<u32>()? {
            0 => Principal::Nobody,
            1 => Principal::Sys(reader.read()?),
            _ => return Err(BadXdr),
        };
        Ok(Self {
            name: (family, owner),
            principal,
            reclaimable: reader.read()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dittofs_testkit::host::MemoryHost;

    use super::*;

    fn name(owner: &'static str) -> Name {
        (Family::Sessions, Bytes::from_static(owner.as_bytes()))
    }

    fn standing(id: u64, reclaimable: bool) -> Standing {
        Standing {
            id: ClientId(id),
            principal: Principal::Sys(7),
            reclaimable,
        }
    }

    fn kv() -> Kv {
        let (cx, _running) = Arc::new(MemoryHost::default()).context(Arc::from([]));
        cx.kv()
    }

    #[tokio::test]
    async fn who_may_reclaim_is_known_after_a_restart_and_others_are_not() {
        let kv = kv();
        let (records, none) = Records::load(&kv).await.unwrap();
        assert!(none.is_empty());
        for (owner, id, reclaimable) in [("a", 1, false), ("b", 2, true), ("c", 3, true)] {
            let update = records.update(name(owner), || Some(standing(id, reclaimable)));
            update.await.unwrap();
        }
        assert_eq!(kv.list(PREFIX).await.unwrap().len(), 3);
        // Another incarnation takes the record over; one that is gone leaves none.
        records
            .update(name("b"), || Some(standing(9, true)))
            .await
            .unwrap();
        records.update(name("c"), || None).await.unwrap();
        kv.put("client/broken", Bytes::from_static(b"?"))
            .await
            .unwrap();

        let (_, claimants) = Records::load(&kv).await.unwrap();
        let expected = Claimant {
            name: name("b"),
            principal: Principal::Sys(7),
        };
        assert_eq!(claimants, [expected]);
        assert_eq!(kv.list(PREFIX).await.unwrap().len(), 1);
    }

    #[test]
    fn a_value_is_read_as_it_was_written() {
        for principal in [Principal::Nobody, Principal::Sys(12)] {
            let value = Value {
                name: (Family::V40, Bytes::from_static(b"odd")),
                principal,
                reclaimable: true,
            };
            let mut writer = Writer::default();
            value.encode(&mut writer);
            let bytes = Bytes::copy_from_slice(writer.as_slice());
            assert_eq!(Value::decode(&mut Reader::new(bytes)), Ok(value));
        }
    }
}
