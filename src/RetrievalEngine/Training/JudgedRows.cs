using System;
using System.Collections.Generic;
using RetrievalEngine.Data;
using RetrievalEngine.Evaluation;

namespace RetrievalEngine.Training;

/// <summary>Training rows made from judgements: a row for each judged query, with its relevant documents as positives and no negatives yet.</summary>
/// <param name="Rows">The rows, in the order of the judgements.</param>
/// <param name="QueriesWithoutText">Judged queries left out because their text is not known.</param>
/// <param name="QueriesWithoutPositives">Judged queries left out because none of their relevant documents is known.</param>
/// <param name="MissingDocuments">Relevant documents that the corpus lacks.</param>
public sealed record JudgedRows(IReadOnlyList<TrainingRow> Rows, int QueriesWithoutText, int QueriesWithoutPositives, int MissingDocuments)
{
    /// <summary>Joins judgements, queries and corpus; <paramref name="find"/> gives a document by its id.</summary>
    public static JudgedRows Create(Qrels qrels, IEnumerable<Query> queries, Func<string, Document?> find)
    {
        Dictionary<string, string> texts = [];
        foreach (Query query in queries) texts.Add(query.Id, query.Text);
        List<TrainingRow> rows = [];
        int withoutText = 0, withoutPositives = 0, missing = 0;
        foreach (string query in qrels.QueryIds)
        {
            if (!texts.TryGetValue(query, out string? text))
            {
                withoutText++;
                continue;
            }

            List<Document> positives = [];
            foreach ((string id, int grade) in qrels[query])
            {
                if (grade < 1) continue;
                if (find(id) is { } document) positives.Add(document);
                else missing++;
            }

            if (positives.Count > 0) rows.Add(new TrainingRow(query, text, positives, []));
            else withoutPositives++;
        }

        return new JudgedRows(rows, withoutText, withoutPositives, missing);
    }
}
