using System.Collections.Generic;
using System.Linq;
using NUnit.Framework;
using RetrievalEngine.Compute;
using RetrievalEngine.Compute.Cpu;
using RetrievalEngine.Verification;

namespace RetrievalEngine.Tests.Verification;

[TestFixture]
internal sealed class GoldenRerankerTests
{
    [Test]
    public void ScoresLossAndGradientsAgreeWithTheReference([Values("llama", "qwen2", "bert")] string family)
    {
        string folder = Goldens.Folder("reranker", family);
        using IBackend backend = new CpuBackend(2);
        List<VerificationItem> items = [.. new Verifier(backend, VerificationTolerances.Float32).Verify(folder)];
        foreach (VerificationItem item in items) TestContext.Out.WriteLine($"{item.Item} {item.Measure} {item.Error:G3} {item.Note}");
        Assert.That(items.Where(i => i.Outcome != VerificationOutcome.Ok), Is.Empty);
        Assert.That(items, Has.Count.EqualTo(family == "bert" ? 5 : 4));
    }
}
