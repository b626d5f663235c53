using System;
using System.Collections.Generic;
using System.Linq;
using RetrievalEngine.Data;

namespace RetrievalEngine.Cli.Demo;

/// <summary>Training rows of the demo: a query and the document that answers it, without negatives yet.</summary>
internal static class DemoTrainingRows
{
    /// <summary>Every query of <paramref name="split"/> with its document.</summary>
    public static IEnumerable<TrainingRow> OfQueries(DemoCollection collection, DemoSplit split) =>
        collection.Documents.Where(d => d.Split == split && d.Query is not null).Select(d => Row(DemoFiles.QueryId(d), d.Query!, d, d.Text));

    /// <summary>
    /// What the base is made from: the queries of the pre-training part, further sentences of the summaries, and what a member returns, taken out of its
    /// own document. Sentences that several documents share are left out: they would be each other's negatives.
    /// </summary>
    public static IEnumerable<TrainingRow> OfPretraining(DemoCollection collection)
    {
        DemoDocument[] documents = [.. collection.Documents.Where(d => d.Split == DemoSplit.Pretrain)];
        HashSet<string> shared = [.. documents.SelectMany(d => d.OtherSentences.Concat(d.Returns)).Select(DemoCollection.Normal).GroupBy(s => s).Where(g => g.Count() > 1).Select(g => g.Key)];
        IEnumerable<TrainingRow> others = documents.SelectMany(d => d.OtherSentences.Where(IsOwn).Select((s, i) => Row($"s{i}-{d.Id}", s, d, d.Text)));
        IEnumerable<TrainingRow> returns = documents.SelectMany(d => d.Returns.Where(IsOwn).Select((s, i) => Row($"r{i}-{d.Id}", s, d, d.Text.Replace(s, "", StringComparison.Ordinal))));
        return OfQueries(collection, DemoSplit.Pretrain).Concat(others).Concat(returns);

        bool IsOwn(string sentence) => !shared.Contains(DemoCollection.Normal(sentence));
    }

    private static TrainingRow Row(string queryId, string query, DemoDocument document, string text) =>
        new(queryId, query, [new Document(document.Id, document.Title, text)], []);
}
