using System;
using System.Collections.Generic;
using System.Linq;

namespace RetrievalEngine.Server;

/// <summary>A batch whose items are not all computed alike.</summary>
internal static class MixedBatch
{
    /// <summary>Computes the items of each kind together; each result stands where its item stood.</summary>
    /// <param name="groups">The items of a batch by request.</param>
    /// <param name="kindOf">What decides who is computed with whom.</param>
    /// <param name="compute">A result for each item, in their order.</param>
    public static TResult[][] Compute<TItem, TKind, TResult>(IReadOnlyList<IReadOnlyList<TItem>> groups, Func<TItem, TKind> kindOf,
        Func<TKind, TItem[], IEnumerable<TResult>> compute)
    {
        TResult[][] results = [.. groups.Select(group => new TResult[group.Count])];
        IEnumerable<(TItem Item, int Group, int At)> all = groups.SelectMany((group, g) => group.Select((item, i) => (item, g, i)));
        foreach (IGrouping<TKind, (TItem Item, int Group, int At)> kind in all.GroupBy(entry => kindOf(entry.Item)))
        {
            foreach ((TResult result, (_, int group, int at)) in compute(kind.Key, [.. kind.Select(static entry => entry.Item)]).Zip(kind)) results[group][at] = result;
        }

        return results;
    }
}
