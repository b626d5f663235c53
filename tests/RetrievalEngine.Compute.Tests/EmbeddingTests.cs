using System.Collections.Generic;
using System.Linq;
using NUnit.Framework;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Compute.Tests;

[TestFixtureSource(typeof(Backends), nameof(Backends.All))]
[Category("Ops")]
internal sealed class EmbeddingTests(TestBackend backend)
{
    private static IEnumerable<Case> Cases()
    {
        foreach (DType table in (DType[])[DType.F32, DType.F16, DType.BF16])
        {
            foreach (int width in Sizes.Vector) yield return new Case(4, 7, width, table);
            yield return new Case(9, 5, 24, table, Accumulate: true);
        }

        foreach (int tokens in (int[])[0, 1, 2, 100]) yield return new Case(tokens, 3, 20, DType.F32);
        yield return new Case(2000, 17, 100, DType.BF16);
        yield return new Case(10_000, 3, 8, DType.F32);
    }

    [TestCaseSource(nameof(Cases))]
    public void Agrees_with_the_definition(Case c)
    {
        const float Scale = 1.25f;
        RandomTensors random = new(c.Tokens + c.Width);
        double[] table = random.Normal((long)c.Rows * c.Width, 1, c.Table),
            dy = random.Normal((long)c.Tokens * c.Width, dtype: backend.Device.Value.ActivationDType);
        int[] ids = random.Integers(c.Tokens, c.Rows);
        double[] y = NaiveSequence.EmbeddingForward(table, ids, Scale, c.Width);
        OpCall forward = new OpCall(backend).Float("table", c.Table, table, c.Rows, c.Width).I32("ids", ids, c.Tokens);
        if (c.Accumulate) forward.InPlace("y", dy, [.. y.Zip(dy, (a, b) => a + b)], 2e-7, c.Tokens, c.Width);
        else forward.Output("y", y, 1e-7, c.Tokens, c.Width);
        forward.Check((b, t) => b.EmbeddingForward(t["table"], t["ids"], Scale, t["y"], c.Accumulate));

        double[] before = random.Normal((long)c.Rows * c.Width);
        double[] dtable = NaiveSequence.EmbeddingBackward(dy, ids, Scale, c.Rows, c.Width);
        new OpCall(backend).Activation("dy", dy, c.Tokens, c.Width).I32("ids", ids, c.Tokens)
            .InPlaceF32("dtable", before, [.. dtable.Zip(before, (a, b) => a + b)], 1e-6, c.Rows, c.Width)
            .Check((b, t) => b.EmbeddingBackward(t["dy"], t["ids"], Scale, t["dtable"]));
    }

    [Test]
    public void Reference_gradient_is_finite_differences()
    {
        RandomTensors random = new(1);
        double[] table = random.Normal(4 * 5), dy = random.Normal(9 * 5);
        int[] ids = random.Integers(9, 4);
        double[] dtable = NaiveSequence.EmbeddingBackward(dy, ids, 0.7, 4, 5);
        FiniteDifferences.Check("dtable", moved =>
            FiniteDifferences.Dot(NaiveSequence.EmbeddingForward(moved, ids, 0.7, 5), dy), table, dtable, samples: 20);
    }

    [Test]
    public void An_id_beyond_the_table_is_refused_on_the_host([Values(-1, 3, int.MaxValue)] int id)
    {
        backend.RequireHostMemory();
        double[] values = new double[6], row = new double[2];
        OpCall forward = new OpCall(backend).F32("table", values, 3, 2).I32("ids", [id], 1).Output("y", row, 0, 1, 2);
        Assert.That(() => forward.Check((b, t) => b.EmbeddingForward(t["table"], t["ids"], 1, t["y"], accumulate: false)), Throws.ArgumentException);
        OpCall backward = new OpCall(backend).Activation("dy", row, 1, 2).I32("ids", [id], 1).F32("dtable", values, 3, 2);
        Assert.That(() => backward.Check((b, t) => b.EmbeddingBackward(t["dy"], t["ids"], 1, t["dtable"])), Throws.ArgumentException);
    }

    public sealed record Case(int Tokens, int Rows, int Width, DType Table, bool Accumulate = false);
}
