using System;
using System.Linq;
using NUnit.Framework;
using RetrievalEngine.Evaluation;

namespace RetrievalEngine.Tests.Evaluation;

internal sealed class SignificanceTests
{
    // P(|T| >= t) from closed forms: 1 degree of freedom is Cauchy's distribution, 2 has an elementary one, 3 as well.
    [TestCase(0.5)]
    [TestCase(1.0)]
    [TestCase(4.0)]
    [TestCase(60.0)]
    public void Student_FewDegrees_ClosedForms(double t)
    {
        Assert.Multiple(() =>
        {
            Assert.That(SpecialFunctions.StudentTwoSided(t, 1), Is.EqualTo(1 - (2 / Math.PI * Math.Atan(t))).Within(1e-13));
            Assert.That(SpecialFunctions.StudentTwoSided(-t, 2), Is.EqualTo(1 - (t / Math.Sqrt(2 + (t * t)))).Within(1e-13));
            double x = t / Math.Sqrt(3);
            Assert.That(SpecialFunctions.StudentTwoSided(t, 3), Is.EqualTo(1 - (2 / Math.PI * (Math.Atan(x) + (x / (1 + (x * x)))))).Within(1e-13));
        });
    }

    // Abramowitz and Stegun, table 26.1 and 26.2, as 2 Q(z).
    [TestCase(0.0, 1.0)]
    [TestCase(1.0, 0.31731050786291410)]
    [TestCase(1.7320508075688772, 0.08326451666355040)]
    [TestCase(2.0, 0.04550026389635842)]
    [TestCase(5.0, 5.733031437583869e-7)]
    [TestCase(10.0, 1.5239706048321052e-23)]
    public void Normal_KnownValues(double z, double p) => Assert.That(SpecialFunctions.NormalTwoSided(z), Is.EqualTo(p).Within(1e-11).Percent);

    [Test]
    public void Wilcoxon_SmallSamples_CountsAllSigns([Values(1, 5, 9, 13)] int n, [Values] bool ties)
    {
        Random random = new(n);
        double[] a = [.. Enumerable.Range(0, n).Select(_ => ties ? random.Next(4) : random.NextDouble())];
        double[] b = [.. Enumerable.Range(0, n).Select(_ => ties ? random.Next(4) : random.NextDouble())];
        double[] differences = [.. a.Zip(b, static (x, y) => x - y).Where(static d => d != 0)];
        double[] ranks = Ranks.Average([.. differences.Select(Math.Abs)], out _);
        double Positive(int signs) => ranks.Where((_, i) => (signs >> i & 1) == 1).Sum();
        double observed = Positive(Enumerable.Range(0, differences.Length).Sum(i => differences[i] > 0 ? 1 << i : 0));
        double[] all = [.. Enumerable.Range(0, 1 << differences.Length).Select(Positive)];
        double expected = Math.Min(1, 2 * Math.Min(all.Count(w => w <= observed), all.Count(w => w >= observed)) / (double)all.Length);
        Assert.That(WilcoxonSignedRankTest.Compute(a, b).P, Is.EqualTo(expected).Within(1e-14));
    }

    /// <summary>Under the null hypothesis the sum of positive ranks has variance Σ rank² / 4, which with ties is the corrected one.</summary>
    [Test]
    public void Wilcoxon_ManyTies_NormalApproximation()
    {
        Random random = new(11);
        double[] a = [.. Enumerable.Range(0, 80).Select(_ => (double)random.Next(5))];
        double[] b = [.. Enumerable.Range(0, 80).Select(_ => (double)random.Next(4))];
        double[] differences = [.. a.Zip(b, static (x, y) => x - y).Where(static d => d != 0)];
        double[] ranks = Ranks.Average([.. differences.Select(Math.Abs)], out _);
        double positive = ranks.Where((_, i) => differences[i] > 0).Sum(), total = ranks.Sum();
        double z = (positive - (total / 2)) / Math.Sqrt(ranks.Sum(static r => r * r) / 4);
        WilcoxonSignedRankTest test = WilcoxonSignedRankTest.Compute(a, b);
        Assert.That(test.W, Is.EqualTo(Math.Min(positive, total - positive)));
        Assert.That(test.P, Is.EqualTo(SpecialFunctions.NormalTwoSided(z)).Within(1e-13));
    }

    [TestCase(new double[] { 1, 1, 1 }, new double[] { 1, 2, 3 })]
    [TestCase(new double[] { 1, 2, 3 }, new double[] { 5, 5, 5 })]
    [TestCase(new double[] { 1 }, new double[] { 2 })]
    [TestCase(new double[] { }, new double[] { })]
    public void Correlation_ConstantOrTooShort_Undefined(double[] x, double[] y)
    {
        Assert.That(Correlation.Pearson(x, y), Is.NaN);
        Assert.That(Correlation.Spearman(x, y), Is.NaN);
    }

    // The sleep data of Student (1908); R: wilcox.test exact is not available with ties, t.test(paired) gives this.
    [Test]
    public void PairedT_StudentsSleepData()
    {
        double[] a = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0], b = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4];
        PairedTTest test = PairedTTest.Compute(a, b);
        Assert.That(test.T, Is.EqualTo(-4.062127683382037).Within(1e-12));
        Assert.That(test.P, Is.EqualTo(0.002832890197384274).Within(1e-12));
    }

    [Test]
    public void Randomisation_FewDifferences_CountsAllSwaps()
    {
        Random random = new(3);
        double[] a = [.. Enumerable.Range(0, 12).Select(_ => random.NextDouble())], b = [.. a.Select((x, i) => i < 2 ? x : random.NextDouble())];
        double[] differences = [.. a.Zip(b, static (x, y) => x - y)];
        double Sum(int signs) => differences.Select((d, i) => (signs >> i & 1) == 1 ? -d : d).Sum();
        int asExtreme = Enumerable.Range(0, 1 << 12).Count(s => Math.Abs(Sum(s)) >= Math.Abs(Sum(0)) - 1e-12);
        RandomisationTest test = RandomisationTest.Compute(a, b);
        Assert.That(test, Is.EqualTo(new RandomisationTest(asExtreme / 4096.0, 1 << 10, IsExact: true)));
    }

    [Test]
    public void Randomisation_ManyDifferences_NearTAndRepeatable()
    {
        Random random = new(5);
        double[] a = [.. Enumerable.Range(0, 300).Select(_ => random.NextDouble())], b = [.. a.Select(x => x + (0.2 * (random.NextDouble() - 0.45)))];
        RandomisationTest test = RandomisationTest.Compute(a, b);
        Assert.That(test.Permutations, Is.EqualTo(100_000));
        Assert.That(test.P, Is.EqualTo(PairedTTest.Compute(a, b).P).Within(0.004));
        Assert.That(RandomisationTest.Compute(a, b), Is.EqualTo(test));
        Assert.That(RandomisationTest.Compute(b, a).P, Is.EqualTo(test.P));
    }

    [Test]
    public void NoDifference_NotSignificant()
    {
        double[] a = [.. Enumerable.Range(0, 20).Select(static i => (double)i)];
        Assert.That(RandomisationTest.Compute(a, a).P, Is.EqualTo(1));
        Assert.That(PairedTTest.Compute(a, a).P, Is.NaN);
        Assert.That(WilcoxonSignedRankTest.Compute(a, a).P, Is.NaN);
    }
}
