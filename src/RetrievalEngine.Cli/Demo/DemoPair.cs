using System.Collections.Generic;
using System.Linq;

namespace RetrievalEngine.Cli.Demo;

/// <summary>One training example: a query and the passage that answers it.</summary>
internal sealed record DemoPair(string QueryId, string Query, string DocumentId, string Title, string Text)
{
    /// <summary>Every query of <paramref name="split"/> with its document.</summary>
    public static IEnumerable<DemoPair> OfQueries(DemoCollection collection, DemoSplit split) =>
        collection.Documents.Where(d => d.Split == split && d.Query is not null).Select(d => new DemoPair(DemoFiles.QueryId(d), d.Query!, d.Id, d.Title, d.Text));

    /// <summary>
    /// What the base is made from: the queries of the pre-training part, further sentences of the summaries, and what a member returns, taken out of its
    /// own document. Sentences that several documents share are left out: they would be each other's negatives.
    /// </summary>
    public static IEnumerable<DemoPair> OfPretraining(DemoCollection collection)
    {
        DemoDocument[] documents = [.. collection.Documents.Where(d => d.Split == DemoSplit.Pretrain)];
        HashSet<string> shared = [.. documents.SelectMany(d => d.OtherSentences.Concat(d.Returns)).Select(DemoCollection.Normal).GroupBy(s => s).Where(g => g.Count() > 1).Select(g => g.Key)];
        IEnumerable<DemoPair> others = documents.SelectMany(d => d.OtherSentences.Where(IsOwn).Select((s, i) => new DemoPair($"s{i}-{d.Id}", s, d.Id, d.Title, d.Text)));
        IEnumerable<DemoPair> returns = documents.SelectMany(d => d.Returns.Where(IsOwn).Select((s, i) => new DemoPair($"r{i}-{d.Id}", s, d.Id, d.Title, d.Text.Replace(s, "", System.StringComparison.Ordinal))));
        return OfQueries(collection, DemoSplit.Pretrain).Concat(others).Concat(returns);

        bool IsOwn(string sentence) => !shared.Contains(DemoCollection.Normal(sentence));
    }
}
