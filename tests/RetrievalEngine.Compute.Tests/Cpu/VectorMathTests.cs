using System;
using System.Runtime.Intrinsics;
using NUnit.Framework;
using RetrievalEngine.Compute.Cpu;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Compute.Tests.Cpu;

[TestFixture]
[Category("Ops")]
internal sealed class VectorMathTests
{
    [Test]
    public void Exp_is_within_2e_7_wherever_the_result_is_normal() =>
        Assert.That(LargestError(VectorMath.Exp, Math.Exp, -87.3, 88.7, relative: true), Is.LessThan(2e-7));

    [Test]
    public void Exp_ends_in_subnormals_zero_and_infinity()
    {
        Assert.That(VectorMath.Exp(Vector512.Create(-95f))[0], Is.EqualTo(Math.Exp(-95)).Within(3e-45));
        Assert.That(VectorMath.Exp(Vector512.Create(-103f))[0], Is.EqualTo(Math.Exp(-103)).Within(3e-45));
        Assert.That(VectorMath.Exp(Vector512.Create(-105f))[0], Is.Zero);
        Assert.That(VectorMath.Exp(Vector512.Create(float.NegativeInfinity))[0], Is.Zero);
        Assert.That(VectorMath.Exp(Vector512.Create(88.72f))[0], Is.EqualTo(Math.Exp(88.72f)).Within(1e32));
        Assert.That(VectorMath.Exp(Vector512.Create(89f))[0], Is.EqualTo(float.PositiveInfinity));
        Assert.That(VectorMath.Exp(Vector512.Create(float.PositiveInfinity))[0], Is.EqualTo(float.PositiveInfinity));
        Assert.That(VectorMath.Exp(Vector512.Create(float.NaN))[0], Is.NaN);
        Assert.That(VectorMath.Exp(Vector512<float>.Zero)[0], Is.EqualTo(1f));
    }

    [Test]
    public void Exp2_is_within_2e_7_and_ends_in_zero()
    {
        Assert.That(LargestError(VectorMath.Exp2, x => Math.Pow(2, x), -126, 127, relative: true), Is.LessThan(2e-7));
        Assert.That(VectorMath.Exp2(Vector512.Create(-126.6f))[0], Is.Zero);
        Assert.That(VectorMath.Exp2(Vector512.Create(float.NegativeInfinity))[0], Is.Zero);
        Assert.That(VectorMath.Exp2(Vector512.Create(float.NaN))[0], Is.NaN);
        Assert.That(VectorMath.Exp2(Vector512<float>.Zero)[0], Is.EqualTo(1f));
    }

    [Test]
    public void Tanh_is_within_4e_7()
    {
        Assert.That(LargestError(VectorMath.Tanh, Math.Tanh, -12, 12, relative: true), Is.LessThan(4e-7));
        Assert.That(VectorMath.Tanh(Vector512.Create(1e-20f))[0], Is.EqualTo(1e-20f));
        Assert.That(VectorMath.Tanh(Vector512.Create(float.NegativeInfinity))[0], Is.EqualTo(-1f));
        Assert.That(VectorMath.Tanh(Vector512.Create(float.NaN))[0], Is.NaN);
    }

    [Test]
    public void Normal_cdf_is_within_12e_8() =>
        Assert.That(LargestError(x => VectorMath.NormalCdf(x, out _), x => (1 + NaiveActivation.Erf(x / Math.Sqrt(2))) / 2, -30, 30, relative: false),
            Is.LessThan(1.2e-7));

    [Test]
    public unsafe void Sums_and_maxima_see_every_element([ValueSource(typeof(Sizes), nameof(Sizes.VectorOrNone))] int count)
    {
        float* x = stackalloc float[count + 1];
        for (int i = 0; i < count; i++) x[i] = -1 - i;
        x[count] = 1e9f;
        Assert.That(VectorMath.Sum(x, count), Is.EqualTo(-count * (count + 1) / 2f));
        Assert.That(VectorMath.Dot(x, x, count), Is.EqualTo(count * (count + 1) * (2 * count + 1) / 6f));
        Assert.That(VectorMath.Max(x, count), Is.EqualTo(count == 0 ? float.NegativeInfinity : -1));
        for (int i = 0; i < count; i++)
        {
            float saved = x[i];
            x[i] = float.NaN;
            Assert.That(VectorMath.Max(x, count), Is.NaN);
            x[i] = saved;
        }
    }

    private static double LargestError(Func<Vector512<float>, Vector512<float>> function, Func<double, double> reference, double low, double high,
        bool relative)
    {
        double largest = 0;
        const int Steps = 20_000;
        for (int i = 0; i < Steps; i++)
        {
            float x = (float)(low + (high - low) * i / (Steps - 1));
            double expected = reference(x), error = Math.Abs(function(Vector512.Create(x))[0] - expected);
            largest = Math.Max(largest, relative && expected != 0 ? error / Math.Abs(expected) : error);
        }

        return largest;
    }
}
